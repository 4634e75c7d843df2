// When the labels so far decide a pair: the same rule as in Python (statistics/settling.py).
// `counts` = {losses, gains, neither, skipped}: labels so far by which only the reference is right, only the candidate,
// neither of them, and those that were skipped.
const rule = (() => {
  const TIE = 1e-9; // in logarithms: a final number at the very edge of the set counts as possible
  const logFactorials = [0];

  function logFactorial(n) {
    for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i));
    return logFactorials[n];
  }

  const logChoose = (n, k) => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

  // Tango 1998, Statistics in Medicine 17:891: the variance of the observed loss if the true one were `loss`.
  function constrainedVariance(losses, gains, n, loss) {
    const b = -losses - gains + (2 * n - losses + gains) * loss;
    const c = -gains * loss * (1 - loss);
    const shareOfGains = (Math.sqrt(Math.abs(b * b - 8 * n * c)) - b) / (4 * n);
    return (2 * shareOfGains + loss * (1 - loss)) / n;
  }

  // How far below the tolerance the loss on all images is, in margins of the test. `level`: pair.notWorse or pair.worse.
  function distance(pair, level, tolerance, losses, gains) {
    const variance = Math.max(constrainedVariance(losses, gains, pair.images, tolerance), 0);
    const margin = level.quantile * Math.sqrt(variance) + 1 / (2 * pair.images);
    return (tolerance - (losses - gains) / pair.images) / margin;
  }

  // Waudby-Smith & Ramdas 2020, arXiv:2006.04347: the numbers among all disagreements that the labels so far leave
  // possible have a probability of these labels that is not too small beside the average over all numbers.
  function possibleAfter(pair, level, first, second, neither) {
    const all = pair.disagreements, labelled = first + second + neither;
    const least = Math.log(level.prefixError) - logChoose(labelled + 2, 2) + logChoose(all, labelled) - TIE;
    return (allFirst, allSecond) => {
      const probability = logChoose(allFirst, first) + logChoose(allSecond, second);
      return probability + logChoose(all - allFirst - allSecond, neither) >= least;
    };
  }

  // The largest possible number of the first kind beside `allSecond`; null if there is none. The probability has one
  // peak: C(x, first) C(rest - x, neither) grows with x up to (first rest - neither) / (first + neither).
  function mostPossible(possible, first, neither, allSecond, rest) {
    const top = rest - neither;
    const growsUpTo = first + neither ? Math.floor((first * rest - neither) / (first + neither)) + 1 : top;
    let most = Math.min(Math.max(growsUpTo, first), top), over = top + 1;
    if (!possible(most, allSecond)) return null;
    while (over - most > 1) {
      const middle = (most + over) >> 1;
      if (possible(middle, allSecond)) most = middle;
      else over = middle;
    }
    return most;
  }

  // Whether all possible final numbers pass a test that is harder to pass with every further image of the adverse kind.
  // So for each number of the other kind only the largest possible number of the adverse kind is tested.
  function allPass(pair, level, adverse, other, neither, passes) {
    const possible = possibleAfter(pair, level, adverse, other, neither);
    for (let others = other; others <= pair.disagreements - adverse - neither; others++) {
      const most = mostPossible(possible, adverse, neither, others, pair.disagreements - others);
      if (most !== null && !passes(most, others)) return false;
    }
    return true;
  }

  // A skipped image counts against the verdict in question: as a loss, or as a gain. Each verdict has its own error.
  function status(pair, tolerance, counts) {
    const { losses, gains, neither, skipped } = counts;
    const notWorse = (lost, gained) => distance(pair, pair.notWorse, tolerance, lost, gained) > 1;
    const worse = (gained, lost) => distance(pair, pair.worse, tolerance, lost, gained) < -1;
    if (allPass(pair, pair.notWorse, losses + skipped, gains, neither, notWorse)) return "not_worse";
    if (allPass(pair, pair.worse, gains + skipped, losses, neither, worse)) return "worse";
    return "unresolved";
  }

  // The verdict after labels of these kinds ("losses", "gains", ...) in the stored order. The first that the labels
  // reached stays, until all disagreements are labelled and nothing is left to guess.
  function verdict(pair, tolerance, kinds, statusOf = status) {
    const counts = { losses: 0, gains: 0, neither: 0, skipped: 0 };
    let reached = statusOf(pair, tolerance, counts);
    for (const kind of kinds) {
      counts[kind]++;
      if (reached === "unresolved") reached = statusOf(pair, tolerance, counts);
    }
    return kinds.length === pair.disagreements ? statusOf(pair, tolerance, counts) : reached;
  }

  // `status` that keeps what it has computed: after a label only one prefix is new.
  function remembered() {
    const known = new Map(); // pair -> counts -> status
    return (pair, tolerance, counts) => {
      if (!known.has(pair)) known.set(pair, new Map());
      const ofPair = known.get(pair), key = Object.values(counts).join();
      if (!ofPair.has(key)) ofPair.set(key, status(pair, tolerance, counts));
      return ofPair.get(key);
    };
  }

  return { status, verdict, remembered };
})();
