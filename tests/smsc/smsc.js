// A message centre for tests: SMPP 3.4 by node-smpp, a code base of its own. Orders and news are JSON lines on
// stdin and stdout. What it does wrong (throttling, losing receipts, hanging up) it does because a test asked for it.
'use strict';
const [modules, port, password] = process.argv.slice(2);
const smpp = require(modules + '/smpp');
const readline = require('readline');

const how = {
  receipts: true, receiptState: 'DELIVRD', receiptBeforeAnswer: false, answerDelayMs: 0, throttleEvery: 0,
  refuseWith: 0, receiptDelayMs: 0, keepTexts: true, hangUpAfter: 0,
};
const sessions = new Set();
let submits = 0;
let ids = 0;
let retries = [];

const tell = (news) => process.stdout.write(JSON.stringify(news) + '\n');
const hex = (buffer) => Buffer.isBuffer(buffer) ? buffer.toString('hex') : Buffer.from(String(buffer)).toString('hex');

function receiptFor(pdu, id) {
  const text = `id:${id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 stat:${how.receiptState} err:000 text:`;
  return { source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
           source_addr_ton: 1, source_addr_npi: 1, short_message: { message: Buffer.from(text, 'ascii') } };
}

function deliver(fields, tag) {
  const session = [...sessions][0];
  if (!session) { retries.push([fields, tag]); return; }
  const unanswered = [fields, tag];
  session.unanswered.add(unanswered);
  session.deliver_sm({ ...fields }, (answer) => {
    session.unanswered.delete(unanswered);
    if (tag) tell({ delivered: tag, status: answer.command_status });
    // ESME_RX_T_APPN: a good centre tries again
    if (answer.command_status === 0x64) setTimeout(() => deliver(fields, tag), 500);
  });
}

const server = smpp.createServer((session) => {
  session.unanswered = new Set(); // what was not acknowledged is delivered again, as a good centre does
  session.on('error', () => {});
  session.on('bind_transceiver', (pdu) => {
    if (pdu.password !== password) {
      session.send(pdu.response({ command_status: smpp.ESME_RBINDFAIL }));
      session.close();
      return;
    }
    session.send(pdu.response({ system_id: 'smsc' }));
    sessions.add(session);
    tell({ bound: pdu.system_id });
    const again = retries; retries = [];
    for (const [fields, tag] of again) deliver(fields, tag);
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('close', () => {
    sessions.delete(session);
    tell({ unbound: true });
    for (const [fields, tag] of session.unanswered) deliver(fields, tag);
  });
  session.on('submit_sm', (pdu) => {
    submits += 1;
    if (how.throttleEvery && submits % how.throttleEvery === 0) {
      session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      tell({ throttled: submits });
      return;
    }
    if (how.refuseWith) { session.send(pdu.response({ command_status: how.refuseWith })); return; }
    const id = `c${++ids}`;
    if (how.keepTexts) {
      const message = pdu.short_message;
      tell({ submit: id, from: pdu.source_addr, to: pdu.destination_addr, coding: pdu.data_coding,
             esm: pdu.esm_class, udh: message.udh ? message.udh.map(hex) : [], text: message.message,
             ton: pdu.source_addr_ton, validity: String(pdu.validity_period) });
    } else if (ids % 100 === 0) tell({ taken: ids });
    const receipt = () => { if (how.receipts) deliver(receiptFor(pdu, id)); };
    const answer = () => session.send(pdu.response({ message_id: id }));
    if (how.receiptBeforeAnswer) { receipt(); setTimeout(answer, how.answerDelayMs); return; }
    if (how.answerDelayMs) setTimeout(answer, how.answerDelayMs); else answer();
    if (how.receiptDelayMs) setTimeout(receipt, how.receiptDelayMs + how.answerDelayMs);
    else setImmediate(receipt);
    if (how.hangUpAfter && ids % how.hangUpAfter === 0) session.destroy();
  });
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  if (order.set) Object.assign(how, order.set);
  if (order.deliver) {
    const { from, to, text, coding, udh, octets, tag, tlvs } = order.deliver;
    const message = octets !== undefined ? Buffer.from(octets, 'hex') : text;
    const fields = { source_addr: from, destination_addr: to, source_addr_ton: 1, source_addr_npi: 1,
                     short_message: udh ? { udh: Buffer.from(udh, 'hex'), message } : { message } };
    if (udh) fields.esm_class = 0x40;
    fields.data_coding = coding === undefined ? 0 : coding; // left to itself, node-smpp sends GSM text as ASCII (1)
    Object.assign(fields, tlvs || {});
    deliver(fields, tag);
  }
  if (order.receipt) deliver({ source_addr: '1', destination_addr: '2', esm_class: 4,
    short_message: { message: Buffer.from(order.receipt.text, 'ascii') } }, order.receipt.tag);
  if (order.hangUp) for (const session of sessions) session.destroy();
  if (order.count) tell({ counted: ids, submits });
}).on('close', () => process.exit(0));

server.listen(Number(port), '127.0.0.1', () => tell({ listening: Number(port) }));
