const words = (text) =>
  text.replace(/([a-z0-9])([A-Z])/g, '$1 $2').split(/[\s_-]+/).filter(Boolean).map((w) => w.toLowerCase());
const capital = (word) => word[0].toUpperCase() + word.slice(1);

const CASES = {
  camelCase: (ws) => ws.map((w, i) => (i ? capital(w) : w)).join(''),
  PascalCase: (ws) => ws.map(capital).join(''),
  snake_case: (ws) => ws.join('_'),
  'kebab-case': (ws) => ws.join('-'),
  'spaces in between': (ws) => ws.join(' '),
};

export const processEvent = (event, { config }) => {
  const rename = CASES[config.defaultNamingConvention];
  if (!event.event.startsWith('$')) event.event = rename(words(event.event));
  return event;
};
