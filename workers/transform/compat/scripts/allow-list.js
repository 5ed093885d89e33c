export function transformEvent(event) {
  const domains = ["example.com", "example.org"];
  const email = event.context?.traits?.email ?? event.traits?.email;
  if (email && !domains.includes(email.split("@").pop())) return;
  return event;
}
