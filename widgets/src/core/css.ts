// What a feature's styles are written as.

/** Marks a template as CSS, so that it is formatted and checked as such. */
export const css = String.raw;

/** What one feature looks like beyond the shared styles. */
export interface StyleSheet {
  /** Id of its `style` element. */
  id: string;
  text: string;
}
