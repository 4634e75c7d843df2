"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const shown = {}; // chart name -> index of the view on show
  const phone = matchMedia("(max-width: 640px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Charts name colours of the palette ("@c0"); only values of keys that are about colour are looked up.
  function themed(value, about) {
    if (Array.isArray(value)) return value.map((item) => themed(item, about));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, /color/.test(key))]));
    }
    return about && typeof value === "string" && value[0] === "@" ? css(value.slice(1)) : value;
  }
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function layoutOf(panel) {
    const layout = themed(panel.layout, false);
    const size = phone.matches ? 11 : 13;
    const axis = { gridcolor: css("grid"), linecolor: css("line"), zerolinecolor: css("muted"), zeroline: false, automargin: true };
    const titled = (own) => ({ ...axis, ...own, title: { standoff: 10, font: { size }, ...own.title }, ...(phone.matches && own.tickangle ? { tickangle: -90 } : {}) });
    return {
      ...layout,
      showlegend: phone.matches && panel.traces.some((trace) => trace.mode === "markers+text") || layout.showlegend !== false,
      font: { family: css("font"), size, color: css("ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 8, r: 12, t: layout.showlegend === false ? 12 : 34, b: 8 },
      xaxis: titled(layout.xaxis),
      yaxis: titled(layout.yaxis),
      legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", ...layout.legend },
      hoverlabel: { bgcolor: css("raised"), bordercolor: css("line"), font: { color: css("ink") }, align: "left" },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    };
  }

  // A phone has no room for a colour bar, nor for names beside the points: they move into a legend.
  const tracesOf = (panel) => themed(panel.traces, false).map((trace) => {
    if (!phone.matches) return trace;
    if (trace.type === "heatmap") return { ...trace, showscale: false };
    return trace.mode === "markers+text" ? { ...trace, mode: "markers", showlegend: true } : trace;
  });

  function draw(host) {
    const view = (charts[host.dataset.chart] || [])[shown[host.dataset.chart] || 0];
    if (!view) return;
    while (host.children.length > view.panels.length) {
      Plotly.purge(host.lastChild);
      host.lastChild.remove();
    }
    while (host.children.length < view.panels.length) host.append(document.createElement("div"));
    view.panels.forEach((panel, index) => {
      const place = host.children[index];
      place.style.maxWidth = panel.width ? panel.width + "px" : "";
      Plotly.react(place, tracesOf(panel), layoutOf(panel), {
        responsive: true,
        typesetMath: false, // a class may be called "$5 note$"
        displaylogo: false,
        modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
        toImageButtonOptions: { format: "svg", filename: host.dataset.chart },
      });
    });
    const note = document.querySelector(`[data-note="${host.dataset.chart}"]`);
    if (note) note.textContent = view.note;
  }
  const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);

  // A section's buttons choose the view of its charts and of its parts.
  document.querySelectorAll(".switch").forEach((section) => {
    const buttons = [...section.querySelectorAll("[data-show]")];
    const show = (index) => {
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
      section.querySelectorAll("[data-view]").forEach((part) => { part.hidden = Number(part.dataset.view) !== index; });
      section.querySelectorAll("[data-chart]").forEach((host) => { shown[host.dataset.chart] = index; draw(host); });
    };
    buttons.forEach((button, index) => button.addEventListener("click", () => show(index)));
    section.querySelectorAll("[data-view]").forEach((part) => { part.hidden = part.dataset.view !== "0"; });
  });

  // Sorting: by the cells' data-sort, numbers as numbers; what was not measured stays last either way.
  function sortBy(table, column, descending) {
    const key = (row) => row.cells[column].dataset.sort;
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return descending ? -order : order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const descending = before ? before === "ascending" : button.dataset.descending === "true";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sortBy(table, column, descending);
      });
    });
  });

  document.querySelectorAll(".pictures img").forEach((picture) => {
    const mark = () => picture.classList.toggle("tiny", picture.naturalWidth < 96);
    picture.complete ? mark() : picture.addEventListener("load", mark);
  });

  dark.addEventListener("change", drawAll);
  phone.addEventListener("change", drawAll);
  drawAll();
})();
