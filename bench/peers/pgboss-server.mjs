// pg-boss behind Fastify. Arguments: PostgreSQL's socket folder, connections. Its upkeep is off: nothing of it is measured.
import { PgBoss } from 'pg-boss';
import { answer, serve } from './front.mjs';

const [host, , connections = '25'] = process.argv.slice(2);
const boss = new PgBoss({ host, user: 'postgres', database: 'postgres', max: Number(connections), supervise: false, schedule: false });
boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
await boss.start();
await boss.createQueue('noop');
answer({});
process.send({ url: await serve((body) => boss.send('noop', body)) });
