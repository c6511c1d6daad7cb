// decide(snapshot, command, env) → Changes, or a DomainError that refuses. Pure: no clock, no log, no database.
import type { Changes, Command, Env, Snapshot } from './commands.ts';
import { decideKeep } from './decide-keep.ts';
import { decideClaim, decideFinish, decideNote, decideRecover, decideRenew, decideTick } from './decide-run.ts';
import { decideCancel, decideEdit, decideEnd, decidePause, decideRemove, decideResume, decideRetry, decideStart } from './decide-verbs.ts';
import {
  decideAddSchedule, decideAimSchedule, decideBackfillSchedule, decideEditSchedule, decidePauseSchedule, decideRemoveSchedule, decideResumeSchedule, decideTriggerSchedule,
} from './decide-schedule.ts';
import { decideFire, decideTrack } from './serve-schedule.ts';
import { decideGrant, decideRevoke } from './decide-grant.ts';
import { decideSubmit } from './decide-submit.ts';
import { decideDocuments } from './document.ts';
import { Draft } from './draft.ts';
import { addCallbacks, judgeParent } from './transitions.ts';

export function decide(snapshot: Snapshot, command: Command, env: Env): Changes {
  const d = new Draft(snapshot, env);
  switch (command.kind) {
    case 'submit': decideSubmit(d, command); break;
    case 'grant': decideGrant(d, command.grant); break;
    case 'revoke': decideRevoke(d, command.grantId); break;
    case 'claim': decideClaim(d, command); break;
    case 'finish': decideFinish(d, command); break;
    case 'renew': decideRenew(d, command); break;
    case 'note': decideNote(d, command); break;
    case 'keep': decideKeep(d, command); break;
    case 'tick': decideTick(d, command); break;
    case 'recover': decideRecover(d, command); break;
    case 'start': decideStart(d, d.get(command.jobId)); break;
    case 'pause': decidePause(d, d.get(command.jobId), command.atOnce); break;
    case 'resume': decideResume(d, d.get(command.jobId)); break;
    case 'retry': decideRetry(d, d.get(command.jobId)); break;
    case 'cancel': decideCancel(d, d.get(command.jobId), command.reason); break;
    case 'edit': decideEdit(d, d.get(command.jobId), command.patch); break;
    case 'remove': decideRemove(d, d.get(command.jobId)); break;
    case 'documents': decideDocuments(d, command); break;
    case 'judge': judgeParent(d, command.jobId, true); break;
    case 'callbacks': addCallbacks(d, command.jobIds); break;
    case 'fire': decideFire(d, command); break;
    case 'track': decideTrack(d, command.jobId); break;
    case 'addSchedule': decideAddSchedule(d, command); break;
    case 'editSchedule': decideEditSchedule(d, command); break;
    case 'pauseSchedule': decidePauseSchedule(d, command); break;
    case 'resumeSchedule': decideResumeSchedule(d, command); break;
    case 'aimSchedule': decideAimSchedule(d, command); break;
    case 'triggerSchedule': decideTriggerSchedule(d, command); break;
    case 'backfillSchedule': decideBackfillSchedule(d, command); break;
    case 'removeSchedule': decideRemoveSchedule(d, command); break;
    case 'end': decideEnd(d, d.get(command.jobId), command.status, command.error); break;
  }
  return d.changes();
}
