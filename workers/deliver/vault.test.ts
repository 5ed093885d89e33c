import { expect, test } from "vitest";
import { SealedSecretError, SecretKeyError, Vault } from "./vault.ts";

const aVault = (letter = "k") => Vault.fromBase64(btoa(letter.repeat(32)));

test("what is sealed opens again, and reads differently each time", async () => {
  const vault = aVault();
  const [one, two] = [await vault.seal("päss"), await vault.seal("päss")];
  expect(one).not.toBe(two);
  expect(one).not.toContain("päss");
  expect([await vault.open(one), await vault.open(two)]).toEqual(["päss", "päss"]);
});

test("an unchanged secret keeps its sealed form, a changed one does not", async () => {
  const vault = aVault();
  const sealed = await vault.seal("a");
  expect(await vault.reseal("a", sealed)).toBe(sealed);
  expect(await vault.open(await vault.reseal("b", sealed))).toBe("b");
  expect(await vault.open(await vault.reseal("b", null))).toBe("b");
});

test("with another key, or a bit turned, nothing opens; sealing anew does", async () => {
  const sealed = await aVault().seal("a");
  await expect(aVault("x").open(sealed)).rejects.toThrow(SealedSecretError);
  const at = sealed.length - 6;
  const turned = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A") + sealed.slice(at + 1);
  await expect(aVault().open(turned)).rejects.toThrow(SealedSecretError);
  await expect(aVault().open("v2.xx")).rejects.toThrow(SealedSecretError);
  expect(await aVault("x").open(await aVault("x").reseal("a", sealed))).toBe("a");
});

test.each([undefined, "", "short", btoa("k".repeat(16)), "not base64 !!"])(
  "the key %j is refused with what to do",
  async (key) => {
    await expect(Vault.fromBase64(key).seal("a")).rejects.toThrow(SecretKeyError);
    await expect(Vault.fromBase64(key).reseal("a", "v1.x")).rejects.toThrow("base64 of 32 random bytes");
  },
);
