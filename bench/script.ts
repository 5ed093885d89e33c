/** What a team's script usually does: read a property, remove one, add one. */
export const SCRIPT = `
export function transform(event) {
  delete event.properties.email;
  event.properties.plan_upper = String(event.properties.plan).toUpperCase();
  return event;
}
`;
