// @ts-check
// Percent-decoding as routes and cookies want it: nothing is refused.

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Escapes in a row are UTF-8 together; what is no escape, or no UTF-8, becomes U+FFFD.
 * @param {string} text
 */
export function decodePercent(text) {
  if (!text.includes("%")) return text;
  // A broken escape takes two characters along, where there are two.
  return text.replace(/(?:%[0-9a-f]{2})+|%(?:..)?/gis, (found) => {
    if (!/^%[0-9a-f]{2}/i.test(found)) return "\ufffd";
    const bytes = found.slice(1).split("%");
    return utf8.decode(Uint8Array.from(bytes, (hex) => Number.parseInt(hex, 16)));
  });
}
