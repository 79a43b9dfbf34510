// @ts-check
// What a run of answers to send() or publish() comes to.

/**
 * Runs of equal answers, sizes written as n. A kernel that paces what it sends (BBR) may refuse, and take more a moment
 * later though nobody reads: then there are several runs of n and -1, which count as one.
 *
 * @param {number[]} answers
 * @returns {string} for example `n -1 0`
 */
export function runsOf(answers) {
  const names = answers.map((answer) => (answer > 0 ? "n" : String(answer)));
  const runs = names.filter((name, index) => name !== names[index - 1]).join(" ");
  return runs.replace(/^(n -1 )+(?=n -1)/, "");
}
