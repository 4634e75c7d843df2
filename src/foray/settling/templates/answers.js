// What a person has answered: kept in the browser, written to labels.csv, read from it. No word of the page's looks.
function makeAnswers(page) {
  const { classes, images, showings } = page;
  const SKIP = -1;
  const STORED = `foray-settle-${page.key}`;
  const firstShowing = images.map((_, image) => showings.indexOf(image));
  let given = showings.map(() => null); // by showing: null, or {label, seen}: a class or SKIP, and after its guesses?
  let seen = new Set(); // images whose guesses were ever shown

  const isDone = (showing) => showing < showings.length && given[showing] !== null;
  const labelAt = (showing) => (isDone(showing) ? given[showing].label : null);
  const done = () => given.filter((answer) => answer !== null).length;
  const firstOpen = () => { const open = given.indexOf(null); return open < 0 ? showings.length : open; };

  function give(showing, label) {
    given[showing] = { label, seen: seen.has(showings[showing]) };
    self.isDownloaded = false;
    save();
  }

  function seeGuesses(showing) {
    seen.add(showings[showing]);
    save();
  }

  function clear() {
    given.fill(null);
    seen.clear();
    self.isDownloaded = true;
    save();
  }

  // ---- The browser's storage ----

  function isAnswer(answer) {
    return answer === null || (Number.isInteger(answer.label) && answer.label >= SKIP && answer.label < classes.length);
  }

  function restore() {
    try {
      const kept = JSON.parse(localStorage.getItem(STORED));
      if (!kept || kept.given.length !== showings.length || !kept.given.every(isAnswer)) return;
      [given, seen] = [kept.given, new Set(kept.seen)];
    } catch { /* nothing is kept, or nothing that can be used; `save` finds out where nothing can be kept */ }
  }

  function save() {
    try {
      localStorage.setItem(STORED, JSON.stringify({ given, seen: [...seen] }));
      self.isStored = true;
    } catch {
      self.isStored = false;
    }
  }

  // ---- What the answers say ----

  // Of the images that came twice and have both answers: how many, and how many got the same one.
  function agreement() {
    const twice = showings.map((image, showing) => [firstShowing[image], showing]).filter(([first, again]) => first !== again);
    const complete = twice.filter(([first, again]) => isDone(first) && isDone(again));
    return { twice: complete.length, same: complete.filter(([first, again]) => labelAt(first) === labelAt(again)).length };
  }

  // The first answers to a pair's images in their order, up to the first open one, as the rule counts them.
  function kindsOf(pair) {
    const labels = pair.needs.map((image) => labelAt(firstShowing[image]));
    const complete = labels.includes(null) ? labels.slice(0, labels.indexOf(null)) : labels;
    return complete.map((label, i) => kindOf(pair, images[pair.needs[i]].guesses, label));
  }

  function kindOf(pair, guesses, label) {
    if (label === SKIP) return "skipped";
    if (label === guesses[pair.reference]) return "losses";
    return label === guesses[pair.candidate] ? "gains" : "neither";
  }

  // ---- labels.csv ----

  function rows() {
    const cellOf = (label) => (label === SKIP ? page.skipped : classes[label].cell);
    const rowOf = (image, answer) => [images[image].cell, cellOf(answer.label), answer.seen ? "yes" : "no"];
    return showings.flatMap((image, showing) => (isDone(showing) ? [rowOf(image, given[showing])] : []));
  }

  // The label of a cell; null where the row has none yet, undefined where there is no such class.
  function labelOf(cell) {
    if (cell === page.skipped) return SKIP;
    if (cell === "") return null;
    const label = classes.findIndex((one) => one.cell === cell);
    return label < 0 ? undefined : label;
  }

  // Takes rows of a file; returns how many, and why others were left out, as texts.
  function take(read) {
    const imageOf = new Map(images.map((image, i) => [image.cell, i]));
    const free = images.map((_, image) => showings.flatMap((shown, showing) => (shown === image ? [showing] : [])));
    const left = [];
    let taken = 0;
    for (const row of read) {
      const image = imageOf.get(row.image), label = labelOf(row.label);
      if (image === undefined) left.push(`“${row.image}” is no image of this page`);
      else if (label === undefined) left.push(`“${row.label}” is no class`);
      else if (!free[image].length) left.push(`“${row.image}” has more rows than it was shown`);
      else if (label !== null) {
        const isSeen = row.guess_shown.trim().toLowerCase() === "yes";
        if (isSeen) seen.add(image);
        given[free[image].shift()] = { label, seen: isSeen };
        taken++;
      }
    }
    if (taken) self.isDownloaded = false;
    save();
    return { taken, left };
  }

  // `isStored`: whether the browser keeps answers; `isDownloaded`: whether labels.csv has all of them.
  const self = {
    SKIP, STORED, isStored: true, isDownloaded: true,
    isDone, labelAt, done, firstOpen, give, seeGuesses, clear, restore, save, agreement, kindsOf, rows, take,
  };
  return self;
}
