// labels.csv, written and read as RFC 4180 says. Python has made the cells of names harmless to spreadsheets.
const labelsCsv = (() => {
  const HEADER = ["image", "label", "guess_shown"];

  const quoted = (cell) => (/[",;\t\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const write = (rows) => [HEADER, ...rows].map((cells) => cells.map(quoted).join(",") + "\r\n").join("");

  // Spreadsheets of many countries part cells by semicolons.
  function delimiterOf(text) {
    const header = text.split(/[\r\n]/, 1)[0];
    const count = (mark) => header.split(mark).length;
    return [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
  }

  function cellsOf(text) {
    const delimiter = delimiterOf(text);
    const rows = [[""]];
    let inQuotes = false;
    for (let i = 0; i < text.length; i++) {
      const mark = text[i], row = rows[rows.length - 1];
      if (inQuotes && mark === '"' && text[i + 1] === '"') row[row.length - 1] += text[++i];
      else if (mark === '"') inQuotes = !inQuotes;
      else if (inQuotes) row[row.length - 1] += mark;
      else if (mark === delimiter) row.push("");
      else if (mark === "\n") rows.push([""]);
      else if (mark !== "\r") row[row.length - 1] += mark;
    }
    return rows.filter((row) => row.some((cell) => cell));
  }

  // Rows as {image, label, guess_shown}; null where the text is no table with the columns image and label.
  function read(text) {
    const [header, ...rows] = cellsOf(text.replace(/^\ufeff/, ""));
    const names = (header || []).map((name) => name.trim().toLowerCase());
    const cell = (row, name) => row[names.indexOf(name)] ?? "";
    if (!names.includes("image") || !names.includes("label")) return null;
    return rows.map((row) => Object.fromEntries(HEADER.map((name) => [name, cell(row, name)])));
  }

  return { write, read };
})();
