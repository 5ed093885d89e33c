/** A destination's secrets as they are stored: rows of the table `secrets`. */
export async function sealedSecrets(db: D1Database, team: string, destination: string) {
  const statement = "SELECT field, sealed FROM secrets WHERE team = ? AND owner = ? ORDER BY field";
  const { results } = await db.prepare(statement).bind(team, destination).all<{ field: string; sealed: string }>();
  return results;
}
