// @ts-check
/**
 * The platforms with a prebuilt binary. `npm/<name>/package.json` and the table inside `binding.js` are written from
 * this list by write-binding.mjs.
 *
 * @typedef {{ name: string, rust: string, os: string, cpu: string, libc?: string }} Platform
 */

/** @type {Platform[]} */
export const platforms = [
  { name: "linux-x64-gnu", rust: "x86_64-unknown-linux-gnu", os: "linux", cpu: "x64", libc: "glibc" },
  { name: "linux-arm64-gnu", rust: "aarch64-unknown-linux-gnu", os: "linux", cpu: "arm64", libc: "glibc" },
  { name: "linux-x64-musl", rust: "x86_64-unknown-linux-musl", os: "linux", cpu: "x64", libc: "musl" },
  { name: "linux-arm64-musl", rust: "aarch64-unknown-linux-musl", os: "linux", cpu: "arm64", libc: "musl" },
  { name: "darwin-x64", rust: "x86_64-apple-darwin", os: "darwin", cpu: "x64" },
  { name: "darwin-arm64", rust: "aarch64-apple-darwin", os: "darwin", cpu: "arm64" },
  { name: "win32-x64-msvc", rust: "x86_64-pc-windows-msvc", os: "win32", cpu: "x64" },
];

/**
 * The platform that a Rust target triple builds for.
 *
 * @param {string} triple
 * @returns {Platform}
 */
export function platformOf(triple) {
  const found = platforms.find((platform) => platform.rust === triple);
  if (!found) {
    throw new Error(`no binary is planned for the Rust target ${triple}: add it to scripts/platforms.mjs`);
  }
  return found;
}
