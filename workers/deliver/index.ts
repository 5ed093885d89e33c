import { WorkerEntrypoint } from "cloudflare:workers";
import type { DeliverApi } from "../../shared/deliver-api.ts";
import { outboxStub } from "../../shared/stubs.ts";
import { sweep } from "../../shared/sweep.ts";
import type { DeliverEnv } from "./env.ts";
import { Vault } from "./vault.ts";

export { OutboxObject } from "./outbox-object.ts";

/** Sealing for the console, opening for capture. The key stays here. */
export class DeliverService extends WorkerEntrypoint<DeliverEnv> implements DeliverApi {
  seal(plaintext: string, previous: string | null): Promise<string> {
    return Vault.fromBase64(this.env.SECRET_KEY).reseal(plaintext, previous);
  }

  open(sealed: string): Promise<string> {
    return Vault.fromBase64(this.env.SECRET_KEY).open(sealed);
  }
}

const PAGE_COUNT = 500;

export default {
  /** The deliver worker serves nobody over HTTP. */
  fetch: () => new Response("not found\n", { status: 404 }),

  /** Wakes every known outbox: what timers and alarms have lost, this finds. */
  async scheduled(_controller, env): Promise<void> {
    let page = await outboxPage(env.DB, null);
    for (; page.length > 0; page = await outboxPage(env.DB, page.at(-1) as OutboxKey)) {
      await sweep(page, ({ team, destination }) => outboxStub(env.OUTBOXES, team, destination).wake(), "outbox");
    }
  },
} satisfies ExportedHandler<DeliverEnv>;

/** Row of the table `outboxes`. */
interface OutboxKey {
  team: string;
  destination: string;
}

async function outboxPage(db: D1Database, after: OutboxKey | null): Promise<OutboxKey[]> {
  const statement = `SELECT team, destination FROM outboxes WHERE (team, destination) > (?, ?)
    ORDER BY team, destination LIMIT ${PAGE_COUNT}`;
  const query = db.prepare(statement).bind(after?.team ?? "", after?.destination ?? "");
  return (await query.all<{ team: string; destination: string }>()).results;
}
