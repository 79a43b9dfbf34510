/**
 * Replaces the globals `Response`, `Request` and `fetch`: `import "ferrows/register"` before the modules that use them.
 *
 * `Response` and `Request` become the ones that `ferrows` exports, so that programs written for Bun and frameworks get
 * the light {@link import("./index.js").Response}. `fetch` is the platform's and takes the requests of handlers too.
 * `instanceof` keeps working with objects that were made before.
 */
export {};
