/* Masks e-mail addresses and phone numbers wherever they stand. */
const EMAIL = /[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}/gi;
const PHONE = /\+\d{7,15}/g;

function mask(value) {
  if (typeof value === "string") return value.replace(EMAIL, "[email]").replace(PHONE, "[phone]");
  if (Array.isArray(value)) return value.map(mask);
  if (value && typeof value === "object") {
    Object.keys(value).forEach((key) => {
      value[key] = mask(value[key]);
    });
  }
  return value;
}

export function transformEvent(event, metadata) {
  event.properties = mask(event.properties);
  if (event.context && event.context.traits) event.context.traits = mask(event.context.traits);
  if (event.traits) event.traits = mask(event.traits);
  log("masked", metadata(event).messageId);
  return event;
}
