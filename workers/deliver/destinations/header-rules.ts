/** RFC 9110 field names. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 field values, ASCII only: what every server reads the same way. */
export const HEADER_VALUE = /^[\t\x20-\x7e]*$/;
