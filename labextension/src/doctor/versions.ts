// Which half of the product is missing, or of another version. Pure; knows no page.

/** The versions of all halves; `null` for one that does not answer. */
export interface Versions {
  /** Of the extension in this page. */
  page: string;
  /** Of the Jupyter server's extension. */
  server: string | null;
  engine: string | null;
  /** Of the package in the kernel of the notebook that is open; `undefined` where there is none. */
  kernel?: string | null;
  /** Where the server's engine keeps everything, and where its socket and log are; absent in an older server. */
  directories?: { data: string; runtime: string };
  /** What the engine that runs says of itself. */
  running?: { data_dir: string; idle_s: number } | null;
}

/** One line of what was found. */
export interface Finding {
  ok: boolean;
  text: string;
}

/** Say in words how the halves fit together, and what to do where they do not. */
export function findingsOf(versions: Versions): Finding[] {
  const { page, server, engine, kernel } = versions;
  const found: Finding[] = [{ ok: true, text: `This page has the extension ${page}.` }];
  if (server === null) {
    found.push({
      ok: false,
      text:
        'The Jupyter server does not have its half: run "pip install jupyter-ext" in the environment that the server ' +
        'runs in, then "jupyter server extension list", and start it again.',
    });
  } else if (server !== page) {
    found.push({
      ok: false,
      text:
        `The server has ${server}, this page ${page}: reload the page; where that does not help, ` +
        'two installations lie over each other ("jupyter labextension list" shows where).',
    });
  } else {
    found.push({ ok: true, text: `The Jupyter server has ${server}.` });
  }
  if (server !== null) {
    found.push(engineFinding(server, engine));
  }
  if (kernel === null) {
    found.push({
      ok: false,
      text: 'The kernel of the open notebook does not have the package: run "%pip install jupyter-ext" there.',
    });
  } else if (kernel !== undefined) {
    const ok = server === null || kernel === server;
    const more = ok ? '.' : `, the server ${server}: install the same version in both.`;
    found.push({ ok, text: `The kernel of the open notebook has ${kernel}${more}` });
  }
  return [...found, ...directoryFindings(versions)];
}

// Where things lie is the server's to decide: it is shown here, and cannot be set in the page.
function directoryFindings({ directories, running }: Versions): Finding[] {
  if (!directories) {
    return [];
  }
  const { data, runtime } = directories;
  const isOther = running !== undefined && running !== null && running.data_dir !== data;
  const stays = running ? ` It exits after ${inMinutes(running.idle_s)} without work or viewers.` : '';
  return [
    isOther
      ? {
          ok: false,
          text:
            `The engine keeps its data in ${running.data_dir}, the server expects them in ${data}: set ` +
            'JUPYTER_EXT_DATA_DIR to the same folder where kernels and the server are started, then run "%engine restart".',
        }
      : {
          ok: true,
          text: `Trainings, code versions and uploads are kept in ${data} (JUPYTER_EXT_DATA_DIR).`,
        },
    {
      ok: true,
      text: `The engine's socket and log are in ${runtime} (JUPYTER_EXT_RUNTIME_DIR).${stays}`,
    },
  ];
}

function inMinutes(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${Math.round(seconds / 6) / 10} min`;
}

function engineFinding(server: string, engine: string | null): Finding {
  if (engine === null) {
    return { ok: true, text: 'No engine runs; the next training starts one.' };
  }
  return engine === server
    ? { ok: true, text: `The engine has ${engine}.` }
    : {
        ok: false,
        text: `The engine that runs has ${engine}, the server ${server}: run "%engine restart" in a notebook; trainings go on.`,
      };
}
