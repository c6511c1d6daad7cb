// What must not outlive this process, however it ends: mounts, loop devices, daemons, servers under test. Undone last first.
const pending: (() => void)[] = [];
let isWatching = false;

/** @returns does it now; later calls and the end of the process then do nothing */
export function undoAtExit(undo: () => void): () => void {
  if (!isWatching) {
    isWatching = true;
    process.on('exit', undoAll);
    for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]] as const) process.once(signal, () => process.exit(128 + number));
  }
  const once = (): void => {
    const at = pending.indexOf(once);
    if (at < 0) return;
    pending.splice(at, 1);
    undo();
  };
  pending.push(once);
  return once;
}

function undoAll(): void {
  for (let last = pending.at(-1); last !== undefined; last = pending.at(-1)) {
    try {
      last();
    } catch (error) {
      process.stderr.write(`not undone: ${String(error)}\n`);
    }
  }
}
