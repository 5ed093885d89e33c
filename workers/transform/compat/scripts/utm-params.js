const NAMES = { utm_source: "source", utm_medium: "medium", utm_campaign: "name", utm_term: "term", utm_content: "content" };

export function transformEvent(event) {
  const url = event.context?.page?.url;
  if (!url) return event;
  const query = new URL(url).searchParams;
  const campaign = {};
  for (const [param, field] of Object.entries(NAMES)) {
    if (query.has(param)) campaign[field] = query.get(param);
  }
  if (Object.keys(campaign).length) event.context.campaign = { ...event.context.campaign, ...campaign };
  return event;
}
