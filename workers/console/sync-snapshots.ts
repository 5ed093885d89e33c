import { type TeamSnapshot, tokenSnapshot } from "../../shared/snapshot.ts";

/** A snapshot in force, loaded only where KV does not have it. */
export interface SnapshotSource {
  team: string;
  version: number;
  tokens: readonly string[];
  load(): Promise<TeamSnapshot>;
}

/**
 * Brings KV up to these snapshots, which are all there are. A team's own key is written last, so that where it has the version in
 * force its tokens are right too, and a sync that broke off is taken up by the next one. Throws what KV throws.
 */
export async function syncSnapshots(kv: KVNamespace, sources: readonly SnapshotSource[]): Promise<void> {
  const stale: { source: SnapshotSource; old: TeamSnapshot | null }[] = [];
  for (const source of sources) {
    const old = await kv.get<TeamSnapshot>(`team:${source.team}`, "json");
    if (old?.version !== source.version) stale.push({ source, old });
  }
  const inUse = new Set(sources.flatMap((source) => source.tokens));
  const gone = stale.flatMap(({ old }) => old?.tokens ?? []).filter((token) => !inUse.has(token));
  await Promise.all(gone.map((token) => kv.delete(`token:${token}`)));
  for (const { source } of stale) {
    const snapshot = await source.load();
    const put = (token: string) => kv.put(`token:${token}`, JSON.stringify(tokenSnapshot(snapshot, token)));
    await Promise.all(snapshot.tokens.map(put));
    await kv.put(`team:${snapshot.team}`, JSON.stringify(snapshot));
  }
}
