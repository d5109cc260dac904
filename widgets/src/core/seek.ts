// A second of a run, told from one view of it to the others of the page by a CustomEvent of the document, so that no view need know
// another.

const SEEK = 'jupyter-ext:seek';

/** A second of a run, told from one view of it to the others. */
export interface SeekDetail {
  runId: string;
  /** Unix seconds. */
  time: number;
  source: 'chart' | 'log';
}

/** Tell the other views a second. */
export function tellSeek(detail: SeekDetail): void {
  document.dispatchEvent(new CustomEvent(SEEK, { detail }));
}

/** Call `onSeek` with each second that views other than `source` tell, until `signal` aborts. */
export function onSeek(
  source: SeekDetail['source'],
  onSeek: (runId: string, time: number) => void,
  signal: AbortSignal
): void {
  const heard = (event: Event) => {
    const { detail } = event as CustomEvent<SeekDetail>;
    if (detail.source !== source) {
      onSeek(detail.runId, detail.time);
    }
  };
  document.addEventListener(SEEK, heard, { signal });
}
