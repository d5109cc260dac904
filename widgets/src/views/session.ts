// The output of `%%debug_session`, `%debug_session NAME` and a session's handle: the live session, without any kernel.

import { mountSession } from '../session/session_view';
import type { DebugSession } from '../wire';
import type { View } from './view';

/** `{version, id, session}`: the session's id, and the session as it was when the notebook was saved. */
interface SessionData {
  version?: number;
  id?: string;
  session?: DebugSession | null;
}

export const sessionView: View = {
  name: 'session',
  description: 'Draws a debug session as a live view.',
  identity: ({ id }: SessionData) => id || null,
  mount: ({ element, transport, signal }, data) => {
    const { id, session } = data as SessionData;
    mountSession({ element, transport, sessionId: id ?? '', snapshot: session && Array.isArray(session.trainings) ? session : null, signal });
  },
};
