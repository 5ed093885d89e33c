import { AppError } from "../../shared/errors.ts";

/** Throws a 401 unless the request carries the admin token, and a 503 where there is none to carry. */
export async function authorise(request: Request, adminToken: string): Promise<void> {
  if (adminToken === "") {
    throw new AppError(
      "admin_token_missing",
      503,
      "the console has no admin token and lets nobody in: set the secret ADMIN_TOKEN",
    );
  }
  const given = /^Bearer +(.+)$/i.exec(request.headers.get("Authorization") ?? "")?.[1];
  if (given === undefined) {
    throw new AppError("unauthorised", 401, "send the admin token as `Authorization: Bearer <token>`");
  }
  if (!(await equal(given.trim(), adminToken))) {
    throw new AppError("unauthorised", 401, "this is not the admin token");
  }
}

/** Compares digests, so that the time it takes tells neither the length nor the first character that differs. */
async function equal(a: string, b: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [left, right] = await Promise.all(
    [a, b].map(async (text) => new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)))),
  );
  let difference = 0;
  for (const [index, byte] of (left as Uint8Array).entries())
    difference |= byte ^ ((right as Uint8Array)[index] as number);
  return difference === 0;
}
