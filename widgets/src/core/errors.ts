// What an error says, whatever was thrown.

/** Return the message of an error for a line on the page. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
