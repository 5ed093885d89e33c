/** `import … from "url"` of scripts that were written for Node. */
const Url = URL;
const Params = URLSearchParams;
const url = { URL, URLSearchParams };

export { Params as URLSearchParams, Url as URL, url as default };
