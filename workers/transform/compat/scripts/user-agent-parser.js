import { UAParser } from "@rs/userAgentParser/v1";

export function transformEvent(event, metadata) {
  const userAgent = event.context?.userAgent;
  if (userAgent) {
    const parser = new UAParser();
    const parsed = parser.setUA(userAgent).getResult();
    event.context.browser = parsed.browser.name;
    event.context.os = { name: parsed.os.name, version: parsed.os.version };
  }
  return event;
}
