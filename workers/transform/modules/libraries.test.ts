import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LIBRARIES } from "../library-names.ts";

const files = readdirSync(import.meta.dirname).filter((file) => /^[a-z0-9-]+\.ts$/.test(file));

describe("the libraries of library-names.ts", () => {
  it("are the files of this folder", () => {
    expect(Object.keys(LIBRARIES)).toEqual(files.map((file) => `headwater:${file.replace(".ts", "")}`).sort());
  });

  it.each(files)("%s exports what is listed", async (file) => {
    const exported = (await import(join(import.meta.dirname, file))) as Record<string, unknown>;
    expect(Object.keys(exported).sort()).toEqual(LIBRARIES[`headwater:${file.replace(".ts", "")}`]);
  });
});
