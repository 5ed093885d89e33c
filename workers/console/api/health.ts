import { AppError, messageOf } from "../../../shared/errors.ts";
import { logLine } from "../../../shared/log.ts";
import type { ConsoleDeps } from "../deps.ts";
import { type Call, json } from "./request.ts";

/** Whether the console can do its work: 200, or 503 where its database does not answer. */
export async function getHealth(_call: Call, { store }: ConsoleDeps): Promise<Response> {
  try {
    await store.check();
  } catch (error) {
    logLine({ message: "database does not answer", error: messageOf(error) });
    throw new AppError("database_unavailable", 503, "the database does not answer or is not migrated: see the log");
  }
  return json({ status: "ok" });
}
