// The page: what it shows, and what keys and clicks do.
(() => {
  const page = JSON.parse(document.getElementById("page").textContent);
  const { classes, images, showings, pairs } = page;
  const MOST_SHOWN = 24; // class buttons while searching
  const searching = classes.length > 0 && !classes[0].key;
  const answers = makeAnswers(page);
  const statusOf = rule.remembered();
  let at = 0; // the showing on the page; one more than the last: all is done
  let isGuessing = false; // whether the guesses are on the page

  const element = (id) => document.getElementById(id);
  const isOver = () => at === showings.length;
  const labelName = (label) => (label === answers.SKIP ? "cannot tell" : classes[label].name);
  const number = (count) => count.toLocaleString("en");
  const counted = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

  function make(tag, text = "", properties = {}) {
    return Object.assign(document.createElement(tag), { textContent: text }, properties);
  }

  // ---- What a person does ----

  function show(showing) {
    at = Math.max(0, Math.min(showing, showings.length));
    isGuessing = false;
    render();
  }

  function answer(label) {
    if (isOver()) return;
    answers.give(at, label);
    element("filter").value = "";
    element("said").textContent = `Image ${at + 1}: ${labelName(label)}.`;
    show(at + 1);
    look();
    rest();
  }

  // A person who scrolled to a button sees the next image.
  const look = () => element("stage").scrollIntoView({ block: "nearest" });

  // Away from the button that was clicked, which the next Space would press again.
  function rest() {
    const isTyping = searching && matchMedia("(hover: hover)").matches;
    (isTyping ? element("filter") : element("stage")).focus({ preventScroll: true });
  }

  function move(showing) {
    if (showing < 0) return;
    show(showing);
    look();
    const label = answers.labelAt(at);
    element("said").textContent = label === null ? "" : `Image ${at + 1} is labelled: ${labelName(label)}.`;
  }

  const back = () => move(at - 1);
  const forward = () => { if (answers.isDone(at)) move(at + 1); };
  const skip = () => answer(answers.SKIP);

  function toggleGuesses() {
    if (isOver()) return;
    isGuessing = !isGuessing;
    if (isGuessing) answers.seeGuesses(at);
    render();
  }

  function restart() {
    const question = `Remove ${counted(answers.done(), "answer")} from this page? A labels.csv that you downloaded stays.`;
    if (!confirm(question)) return;
    answers.clear();
    move(0);
  }

  function download() {
    const content = new Blob([labelsCsv.write(answers.rows())], { type: "text/csv" });
    const link = make("a", "", { download: "labels.csv", href: URL.createObjectURL(content) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    answers.isDownloaded = true;
    render();
  }

  async function load(file) {
    const rows = labelsCsv.read(await file.text());
    if (!rows) {
      element("loaded").textContent = `${file.name} is no table with the columns image and label. Nothing was taken.`;
      return;
    }
    element("loaded").textContent = `${file.name}: ${loadedText(answers.take(rows))}`;
    show(answers.firstOpen());
  }

  function loadedText({ taken, left }) {
    const reasons = [...new Set(left)];
    const why = reasons.slice(0, 3).join("; ") + (reasons.length > 3 ? "; and more" : "");
    return `${counted(taken, "answer")} taken.` + (left.length ? ` ${counted(left.length, "row")} left out: ${why}.` : "");
  }

  // ---- The picture ----

  const pictures = new Map(); // image -> decoded picture, of the showing on the page, the one before and the next

  function pictureOf(image) {
    if (!pictures.has(image)) {
      const picture = new Image();
      picture.alt = "The image to label";
      picture.onload = () => limit(picture);
      picture.onerror = () => picture.replaceWith(make("p", "This picture cannot be shown. Take “cannot tell”."));
      picture.src = `data:image/jpeg;base64,${images[image].picture}`;
      pictures.set(image, picture);
    }
    return pictures.get(image);
  }

  // Small pictures fill the place only as far as that helps the eye.
  function limit(picture) {
    const side = Math.max(384, 3 * Math.max(picture.naturalWidth, picture.naturalHeight));
    picture.style.maxWidth = picture.style.maxHeight = `${side}px`;
  }

  function renderPicture() {
    element("picture").replaceChildren(isOver() ? ending() : pictureOf(showings[at]));
    const near = showings.slice(Math.max(at - 1, 0), at + 2);
    for (const image of near) pictureOf(image).decode().catch(() => {});
    for (const image of pictures.keys()) if (!near.includes(image)) pictures.delete(image);
  }

  function ending() {
    const { twice, same } = answers.agreement();
    const texts = [
      showings.length ? `All ${counted(showings.length, "answer")} are given.` : "There is no image to label: the models agree on all of them.",
      twice ? `${counted(twice, "image")} came twice, to see how sure the labels are. You gave ${same} of them the same answer both times.` : "",
      showings.length ? "Download labels.csv now." : "",
      images.length && pairs.some((pair) => leftOf(pair) && !verdictOf(pair).isDecided) ? howToGoOn() : "",
    ];
    const end = make("div", "", { className: "end" });
    end.append(...texts.filter(Boolean).map((text) => make("p", text)));
    return end;
  }

  // Of the images that need a label the page shows the first.
  const leftOf = (pair) => pair.disagreements - pair.needs.length;

  function howToGoOn() {
    const last = images[images.length - 1].cell;
    return `More images need a label than this page shows. To go on, open the labels.csv beside this page in an editor of text. Copy its lines that follow “${last}” to the end of the file that you download here. Fill them in from the top, in their order.`;
  }

  // ---- The classes ----

  const folded = (text) => text.normalize("NFKC").toLocaleLowerCase();

  // Equal names first, then those that begin with the text, then those that hold it.
  function matching(text) {
    const wanted = folded(text.trim());
    const rank = (name) => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 2 : 3);
    const ranked = classes.map((one, label) => ({ label, rank: rank(folded(one.name)) }));
    return ranked.filter((one) => one.rank < 3).sort((a, b) => a.rank - b.rank).map((one) => one.label);
  }

  // While searching the class that the image has comes first.
  function shownClasses() {
    const typed = element("filter").value, label = answers.labelAt(at);
    if (!searching || typed || label === null || label === answers.SKIP) return matching(typed);
    return [label, ...matching("").filter((other) => other !== label)];
  }

  function classButton(label, isFirst) {
    const { name, key } = classes[label];
    const button = make("button", "", { type: "button", title: name.length > 60 ? name : "" });
    const shownKey = key.toUpperCase() || (isFirst && element("filter").value ? "Enter" : "");
    if (shownKey) button.append(make("kbd", shownKey, { ariaHidden: "true" }));
    if (shownKey) button.setAttribute("aria-keyshortcuts", shownKey);
    button.append(nameOf(label));
    button.dataset.label = label;
    return button;
  }

  // A long name breaks after an underscore or a hyphen before it breaks anywhere.
  function nameOf(label) {
    const name = make("bdi"), parts = classes[label].name.split(/(?<=[_-])/);
    name.append(...parts.flatMap((part, i) => (i ? [make("wbr"), part] : [part])));
    return name;
  }

  // The buttons are made anew only where others are to be seen, so that a click or the focus never loses its button.
  function renderClasses() {
    const host = element("classes"), labels = shownClasses();
    const shown = searching ? labels.slice(0, MOST_SHOWN) : labels;
    const content = `${shown.join()} ${Boolean(element("filter").value)}`;
    if (host.dataset.content !== content) host.replaceChildren(...shown.map((label, i) => classButton(label, i === 0)));
    host.dataset.content = content;
    for (const button of host.children) {
      button.setAttribute("aria-pressed", String(answers.labelAt(at) === Number(button.dataset.label)));
      button.disabled = isOver();
    }
    element("more").textContent = moreText(labels.length, shown.length);
  }

  function moreText(found, shown) {
    if (!found) return "No class has this in its name.";
    return found > shown ? `And ${number(found - shown)} more: type a part of the name.` : "";
  }

  // ---- Guesses, progress, verdict ----

  function renderGuesses() {
    const button = element("show-guesses");
    button.disabled = isOver();
    button.setAttribute("aria-pressed", String(isGuessing));
    element("guesses").replaceChildren(...(isGuessing ? guesses() : []));
  }

  function guesses() {
    const list = make("ul");
    images[showings[at]].guesses.forEach((label, model) => {
      const line = make("li", `${page.models[model]}: `);
      line.append(nameOf(label));
      list.append(line);
    });
    return [list, make("p", "A guess that is seen can bias your answer. labels.csv says that it was shown.")];
  }

  function renderProgress() {
    element("bar").max = Math.max(showings.length, 1);
    element("bar").value = showings.length ? answers.done() : 1;
    element("count").textContent = whereText();
    element("back").disabled = at === 0;
    element("forward").disabled = !answers.isDone(at);
    element("skip").disabled = isOver();
  }

  function whereText() {
    const done = answers.done();
    if (isOver()) return `${number(done)} of ${number(showings.length)} done`;
    return `Image ${number(at + 1)} of ${number(showings.length)}${at === done ? "" : `, ${number(done)} done`}`;
  }

  function verdictOf(pair) {
    const kinds = answers.kindsOf(pair);
    const isComplete = kinds.length === pair.disagreements;
    const isAllShown = kinds.length === pair.needs.length;
    const status = page.early ? rule.verdict(pair, page.tolerance, kinds, statusOf) : "unresolved";
    return { isComplete, isAllShown, isDecided: status !== "unresolved", isWorse: status === "worse" };
  }

  function wordsOf(pair, { isComplete, isAllShown, isDecided, isWorse }) {
    const candidate = page.models[pair.candidate];
    const claim = `more than ${page.points} worse than ${page.models[pair.reference]}`;
    const question = `is ${candidate} ${claim}?`;
    if (isDecided) return ["decided", "Decided", `${candidate} is ${isWorse ? "" : "not "}${claim}.`];
    if (isComplete && page.early) return ["undecided", "Not decided", `${question} All images are labelled, and they do not show it.`];
    if (isComplete) return ["undecided", "Labelled", `${question} foray answers it from labels.csv.`];
    const left = leftOf(pair) ? ` ${counted(leftOf(pair), "more image")} of labels.csv ${leftOf(pair) === 1 ? "is" : "are"} not on this page.` : "";
    if (isAllShown && left) return ["undecided", "Not decided yet", `${question} All images on this page are labelled.${left}`];
    if (page.early) return ["open", "Not decided yet", question + left];
    return ["open", "Open", `${question} The verdict counts when all ${number(pair.disagreements)} are labelled.${left}`];
  }

  function verdictLine(pair, verdict) {
    const [className, head, text] = wordsOf(pair, verdict);
    const differ = `The two differ on ${number(pair.disagreements)} of ${counted(pair.images, "image")}.`;
    const line = make("li", "", { className });
    line.append(make("strong", `${head}:`), ` ${text} `, make("span", differ, { className: "detail" }));
    return line;
  }

  function renderVerdict() {
    const verdicts = pairs.map(verdictOf);
    const lines = pairs.map((pair, i) => verdictLine(pair, verdicts[i]));
    const isDecided = pairs.length > 0 && verdicts.every((verdict) => verdict.isDecided);
    const isAllDone = answers.done() === showings.length;
    if (isDecided && !isAllDone) lines.push(make("li", "You can stop; more labels do not hurt.", { className: "decided" }));
    replaceChanged(element("verdict"), lines);
    element("stop").hidden = !isDecided || isAllDone;
    element("download").classList.toggle("urgent", !answers.isDownloaded && (isDecided || isAllDone));
  }

  // A screen reader says what changes, so what stays the same is left alone.
  function replaceChanged(host, lines) {
    const content = lines.map((line) => line.textContent).join();
    if (host.dataset.content !== content) host.replaceChildren(...lines);
    host.dataset.content = content;
  }

  function renderKept() {
    const done = counted(answers.done(), "answer");
    element("kept").textContent = answers.isStored ? `${done}, kept in this browser and nowhere else.` : `${done}.`;
    element("warning").hidden = answers.isStored;
    element("warning").textContent = answers.isStored ? "" : "This browser keeps no labels of this page (a private window?). The download is the only copy: download labels.csv before you close the page.";
    element("download").disabled = element("restart").disabled = answers.done() === 0;
  }

  function render() {
    for (const part of [renderPicture, renderClasses, renderGuesses, renderProgress, renderVerdict, renderKept]) part();
  }

  // ---- Keys and clicks ----

  const actions = { arrowleft: back, backspace: back, arrowright: forward, " ": skip, s: skip, g: toggleGuesses };
  const moves = new Set([back, forward]);
  classes.forEach(({ key }, label) => { if (key) actions[key] = () => answer(label); });

  // By the letter; where the keyboard has others (Cyrillic, French digits), by the place of the key.
  function actionOf(event) {
    const [, place] = /^(?:Key|Digit|Numpad)(\w)$/.exec(event.code) || [];
    return actions[event.key.toLowerCase()] || actions[place?.toLowerCase()];
  }

  function act(event, action) {
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || moves.has(action)) action();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const isPress = event.key === " " || event.key === "Enter";
    if (event.target === element("filter")) onFilterKey(event);
    else if (!(isPress && event.target.matches("button, a, input"))) act(event, actionOf(event));
  }

  // While a name is typed letters and spaces are text; in the empty box the keys that are no letters work as elsewhere.
  function onFilterKey(event) {
    const typed = event.target.value.trim();
    const [found] = matching(typed);
    if (event.key === "Enter") act(event, typed && found !== undefined && (() => answer(found)));
    else if (event.key === "Escape") act(event, leaveFilter);
    else if (!event.target.value && (event.key === " " || event.key.length > 1)) act(event, actions[event.key.toLowerCase()]);
  }

  function leaveFilter() {
    element("filter").value = "";
    renderClasses();
    element("stage").focus({ preventScroll: true });
  }

  function listen() {
    const clicks = { back, forward, skip, "show-guesses": toggleGuesses, download, restart, load: () => element("file").click() };
    for (const [id, action] of Object.entries(clicks)) element(id).addEventListener("click", action);
    for (const id of ["back", "forward", "skip"]) element(id).addEventListener("click", rest);
    element("classes").addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) answer(Number(button.dataset.label));
    });
    element("filter").addEventListener("input", renderClasses);
    element("file").addEventListener("change", ({ target }) => {
      if (target.files[0]) load(target.files[0]);
      target.value = "";
    });
    document.addEventListener("keydown", onKey);
  }

  // The same page in another tab, and leaving with answers that exist nowhere else.
  function guard() {
    addEventListener("storage", ({ key }) => {
      if (key !== answers.STORED) return;
      answers.restore();
      show(answers.firstOpen());
    });
    addEventListener("beforeunload", (event) => { if (!answers.isStored && !answers.isDownloaded) event.preventDefault(); });
  }

  listen();
  guard();
  answers.restore();
  answers.save();
  show(answers.firstOpen());
  rest();
})();
