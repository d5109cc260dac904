// How a page without JupyterLab's own connection asks its Jupyter server.

/** Send a request with the page's cookie and the XSRF header. */
export function cookieFetch(url: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  const xsrf = /(?:^|;\s*)_xsrf=([^;]*)/.exec(document.cookie);
  if (xsrf) {
    headers.set('X-XSRFToken', decodeURIComponent(xsrf[1]));
  }
  return fetch(url, { ...init, headers, credentials: 'same-origin' });
}
