// @ts-check
// Finds a Chromium and opens windows in it.

import { accessSync, constants } from "node:fs";
import path from "node:path";
import process from "node:process";
import { chromium } from "playwright-core";

/**
 * The browser's program: CHROMIUM_PATH, or what Debian and others install; undefined if there is none.
 * @returns {string | undefined}
 */
export function findChromium() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const folders = [
    "/usr/bin",
    "/usr/local/bin",
    "/snap/bin",
    ...(process.env.PATH ?? "").split(path.delimiter),
  ];
  const files = folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
  files.push("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
  return files.find(isProgram);
}

/** @param {string} file */
function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} executablePath */
export function launch(executablePath) {
  return chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox", // refuses to start as root otherwise, which containers often are
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
