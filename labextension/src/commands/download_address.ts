// The address that a browser downloads a file of the engine's from by itself. Pure; knows no page.

/** What a page knows of its server. */
export interface Server {
  /** Base URL, with a slash at its end. */
  baseUrl: string;
  /** Token to append, where there is no cookie. */
  token?: string;
  /** The page's cookies, as `document.cookie`. */
  cookie: string;
}

/** Return the address of a path of the engine's, with the proof of who asks that no header can carry. */
export function downloadAddress({ baseUrl, token, cookie }: Server, path: string): string {
  const proofs = new URLSearchParams();
  const xsrf = /(?:^|;\s*)_xsrf=([^;]*)/.exec(cookie);
  if (xsrf) {
    proofs.set('_xsrf', decodeURIComponent(xsrf[1]));
  }
  if (token) {
    proofs.set('token', token);
  }
  return `${baseUrl}jupyter-ext/engine${path}?${proofs}`;
}
