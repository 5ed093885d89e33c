import { transform } from "sucrase";

/** Where acorn is: lines from 1, columns from 0. */
export interface Position {
  line: number;
  column: number;
}

const OPTIONS = { transforms: ["typescript" as const], disableESTransforms: true };
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGIT_BITS = 5;
const CONTINUED = 1 << DIGIT_BITS;

/** TypeScript → JavaScript with the same lines. Throws what sucrase throws, with the place at the end of the message. */
export function stripTypes(code: string): string {
  return transform(code, OPTIONS).code;
}

/** The place in what was written, for one in what `stripTypes` gave: they differ behind types in the same line. */
export function authoredPosition(code: string, { line, column }: Position): Position {
  const { sourceMap } = transform(code, { ...OPTIONS, sourceMapOptions: { compiledFilename: "-" }, filePath: "-" });
  let authored = 0;
  let before = { generated: 0, authored: 0 };
  for (const [i, text] of (sourceMap?.mappings ?? "").split(";").slice(0, line).entries()) {
    let generated = 0;
    for (const segment of text === "" ? [] : text.split(",")) {
      // In a source map: column, file, line and column there, each as the difference from the one before.
      const [inLine = 0, , , inSource = 0] = numbersIn(segment);
      generated += inLine;
      authored += inSource;
      if (i === line - 1 && generated <= column) before = { generated, authored };
    }
  }
  return { line, column: before.authored + column - before.generated };
}

/** Base 64 VLQ. */
function numbersIn(segment: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of segment) {
    const digit = BASE64.indexOf(character);
    value |= (digit & (CONTINUED - 1)) << shift;
    shift += DIGIT_BITS;
    if ((digit & CONTINUED) !== 0) continue;
    numbers.push((value & 1) === 0 ? value >> 1 : -(value >> 1));
    value = 0;
    shift = 0;
  }
  return numbers;
}
