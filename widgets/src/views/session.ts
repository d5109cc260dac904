// The output of `%%debug_session`, `%debug_session NAME` and a session's handle: the live session, without
// any kernel. With `training`, that of `%debug_call NAME.train`: only this training of it.

import { mountSession } from '../session/session_view';
import { mountSingleTraining } from '../session/single_training_view';
import type { DebugSession } from '../wire';
import type { View } from './view';

/**
 * The session's id, the one training of it that is shown if not all, and the session as it was when the
 * notebook was saved.
 */
interface SessionData {
  version?: number;
  id?: string;
  training?: string | null;
  session?: DebugSession | null;
}

export const sessionView: View = {
  name: 'session',
  description: 'Draws the output of %%debug_session as a live view.',
  identity: ({ id, training }: SessionData) => (id ? [id, training].filter(Boolean).join(' ') : null),
  mount: ({ element, transport, signal }, data) => {
    const { id, training, session } = data as SessionData;
    const options = {
      element,
      transport,
      sessionId: id ?? '',
      snapshot: session && Array.isArray(session.trainings) ? session : null,
      signal,
    };
    if (training) {
      mountSingleTraining({ ...options, trainingId: training });
    } else {
      mountSession(options);
    }
  },
};
