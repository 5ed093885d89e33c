/** `@rs/userAgentParser/v1` of RudderStack. */
import UAParser from "ua-parser-js";

export { UAParser };
