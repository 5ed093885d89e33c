/** The outbox that a team's notifications wait in; no destination can have this id. */
export const NOTIFICATIONS = "$notifications";
