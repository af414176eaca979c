// SPDX-License-Identifier: Apache-2.0
//
// A window on a text of any length: blocks that end at line ends, few enough to be drawn; and their lines, with the
// colours that programs write for terminals.

const HELD_MAX = 1024 * 1024; // bytes
const BLOCK_MAX = 256 * 1024; // a longer line is broken: it is no line for people
const encoder = new TextEncoder();
const sizeOf = (text) => encoder.encode(text).length;

/** Bytes [start, end) of a file as blocks {start, end, text}. Whoever adds at one end may lose what is at the other. */
export class Window {
  constructor() {
    this.version = 0;
    this.reset({ start: 0, end: 0, text: '' });
  }

  reset({ start, end, text }) {
    Object.assign(this, { start, end, blocks: text ? [{ start, end, text }] : [] });
    this.version++;
  }

  append({ start, end, text }) {
    const last = this.blocks.at(-1);
    if (last && !last.text.endsWith('\n') && last.end - last.start < BLOCK_MAX) {
      // The block's last line goes on: up to its end it belongs to that block.
      const cut = text.indexOf('\n') + 1 || text.length;
      const head = text.slice(0, cut);
      const middle = cut === text.length ? end : start + sizeOf(head);
      this.blocks[this.blocks.length - 1] = { start: last.start, end: middle, text: last.text + head };
      [text, start] = [text.slice(cut), middle];
    }
    if (text) this.blocks.push({ start, end, text });
    this.end = end;
    this.version++;
    while (this.blocks.length > 1 && this.end - this.start > HELD_MAX) this.start = this.blocks.shift().end;
  }

  prepend({ start, end, text }) {
    const first = this.blocks[0];
    if (first && !text.endsWith('\n') && first.end - first.start < BLOCK_MAX) {
      // What the first block begins with is the rest of a line.
      const cut = text.lastIndexOf('\n') + 1;
      const tail = text.slice(cut);
      const middle = cut === 0 ? start : end - sizeOf(tail);
      this.blocks[0] = { start: middle, end: first.end, text: tail + first.text };
      [text, end] = [text.slice(0, cut), middle];
    }
    if (text) this.blocks.unshift({ start, end, text });
    this.start = start;
    this.version++;
    while (this.blocks.length > 1 && this.end - this.start > HELD_MAX) this.end = this.blocks.pop().start;
  }
}

/** SGR parameters as classes: "a1" for colour 1, "bold". What is not understood changes nothing. */
function styled(style, parameters) {
  const codes = parameters === '' ? [0] : parameters.split(';').map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) style = { colour: '', bold: false };
    else if (code === 1) style = { ...style, bold: true };
    else if (code === 22) style = { ...style, bold: false };
    else if (code >= 30 && code <= 37) style = { ...style, colour: `a${code - 30}` };
    else if (code >= 90 && code <= 97) style = { ...style, colour: `a${code - 90}` };
    else if (code === 39) style = { ...style, colour: '' };
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : codes[i + 1] === 2 ? 4 : 0;
  }
  return style;
}

// Control sequences (CSI), titles (OSC) and single escapes; the first group is an SGR's parameters.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b(?:\[([\d;]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;

/** The lines of a block: {at: byte, parts: [{text, style}]}. */
export function lines(block) {
  let at = block.start;
  let style = { colour: '', bold: false };
  const found = [];
  for (const raw of block.text.replace(/\n$/, '').split('\n')) {
    // Of a line that was written over again, as progress bars are, the last state is shown.
    const text = raw.replace(/\r+$/, '').replace(/^.*\r/, '');
    const parts = [];
    const add = (piece) => {
      const shown = piece.replace(CONTROLS, '');
      if (shown) parts.push({ text: shown, style: [style.colour, style.bold && 'bold'].filter(Boolean).join(' ') });
    };
    let from = 0;
    for (const match of text.includes('\x1b') ? text.matchAll(ESCAPES) : []) {
      add(text.slice(from, match.index));
      if (match[1] !== undefined) style = styled(style, match[1]);
      from = match.index + match[0].length;
    }
    add(text.slice(from));
    found.push({ at, parts });
    at += sizeOf(raw) + 1;
  }
  return found;
}
