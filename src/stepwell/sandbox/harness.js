// What a script is run by: evaluated once in each isolate. The object it gives is all that the process touches: `task`
// is set to the most characters of a result, the input as JSON and the code, with zeros between; then `told` gives the
// answer as text: '' while there is none, else the lines printed so far as JSON, a line break, a letter and what
// belongs to it: v value, b larger than allowed, n not JSON, e error, r the isolate is spoilt, h waiting for the host: a
// list of the ms until the next timer, null if none runs, and of the new questions, each with its number.
(function () {
  'use strict';
  const { parse, stringify } = JSON, text = String, Plain = Function, Later = (async () => {}).constructor;
  const { ownKeys, deleteProperty, getPrototypeOf, getOwnPropertyDescriptor, defineProperty, isExtensible } = Reflect;
  const cut = Function.prototype.call.bind(String.prototype.slice);
  const split = Function.prototype.call.bind(String.prototype.split), join = Function.prototype.call.bind(Array.prototype.join);
  const then = Function.prototype.call.bind(Promise.prototype.then);
  const resolve = Promise.resolve.bind(Promise), freeze = Object.freeze, ceil = Math.ceil, MOST = @LOG_CHARS@;
  const pause = Atomics.waitAsync, notify = Atomics.notify, now = Date.now, Cell = Int32Array, Shared = SharedArrayBuffer, Known = Set, Table = Map;
  let turn = 0, limit = 0, printed = 0, logs = '', answer = '';
  let asked = 0, asks = '', waiting = new Table();
  const bodies = new Table(), MOST_BODIES = 64;
  let own = null;

  const shown = (value) => {
    if (typeof value === 'string') return value;
    try {
      const json = value instanceof Error ? undefined : stringify(value);
      return json === undefined ? text(value) : json;
    } catch (error) { return '[object]'; }
  };
  const print = (...values) => {
    let line = '';
    for (let i = 0; i < values.length && line.length < MOST; i++) line += (i ? ' ' : '') + shown(values[i]);
    if (printed >= MOST) return;
    line = cut(line, 0, MOST - printed) + '\n';
    logs += line;
    printed += line.length;
  };
  const settle = (value) => {
    let json;
    try {
      json = value === undefined ? 'null' : stringify(value);
    } catch (error) {
      try { answer = 'n' + cut(text(error), 0, 500); } catch (other) { fail(error); }
      return;
    }
    answer = typeof json !== 'string' ? 'n' + typeof value : json.length > limit ? 'b' : 'v' + json;
  };
  const fail = (error) => {
    try {
      const told = error instanceof Error ? text(error) : 'Uncaught ' + shown(error);
      answer = 'e' + stringify([cut(told, 0, 1900), cut(text(error?.stack ?? ''), 0, 4000)]);
    } catch (other) { answer = 'e' + stringify(['The script threw something that cannot be shown', '']); }
  };
  // To be called once what follows from the last call has happened.
  const told = () => {
    const waits = own !== null && (waiting.size > 0 || timers.size > 0);
    const rest = answer !== '' ? answer : waits ? 'h[' + next() + asks + ']' : '';
    if (rest === '') return '';
    if (answer !== '' && own !== null) over();
    const lines = stringify(logs);
    logs = asks = '';
    return lines + '\n' + rest;
  };

  // A question to the host, and a promise of what it says; only in isolates that `keep` was called in.
  const ask = (question) => {
    const json = stringify(question) ?? 'null';
    let promised;
    const answered = new Promise((done, failed) => { promised = [done, failed]; });
    asked += 1;
    waiting.set(asked, promised);
    asks += ',[' + asked + ',' + json + ']';
    return answered;
  };

  // Timers of an earlier script never fire in a later one: they are given up when the script is over.
  const LONGEST = 2 ** 31 - 1;
  let timers = new Table(), timer = 0;
  const setTimeout = (act, delay, ...given) => {
    const ms = +delay > 1 ? (+delay < LONGEST ? +delay : LONGEST) : 1;
    const mine = turn, id = ++timer, running = timers, cell = new Cell(new Shared(8));
    running.set(id, [now() + ms, cell]);
    const slept = pause(cell, 0, 0, ms).value;
    then(resolve(slept), () => { if (mine === turn && running.delete(id)) act(...given); });
    return id;
  };
  const clearTimeout = (id) => {
    const found = timers.get(id);
    if (timers.delete(id)) notify(found[1], 0);
  };
  const next = () => {
    let first = Infinity;
    for (const [due] of timers.values()) if (due < first) first = due;
    return first === Infinity ? 'null' : first > now() ? ceil(first - now()) : 0;
  };
  const over = () => {
    turn += 1;
    for (const [, cell] of timers.values()) notify(cell, 0);
    timers = new Table();
    waiting = new Table();
  };

  const put = (name, value) => defineProperty(globalThis, name, { value, writable: true, configurable: true });
  class NonRetryableError extends Error {}
  defineProperty(NonRetryableError.prototype, 'name', { value: 'NonRetryableError', writable: true });
  put('NonRetryableError', NonRetryableError);
  Object.assign(globalThis, { setTimeout, clearTimeout, __timer_manager: undefined });  // the binding's cannot be removed
  put('console', { log: print, info: print, warn: print, error: print, debug: print });

  const parsed = (code) => {
    try { return new Plain('input', '__ask', code); } catch (error) { return new Later('input', '__ask', code); }
  };
  const compiled = (code) => {
    const made = parsed(code);
    if (own === null) return made;
    freeze(made);
    if (made.prototype) freeze(made.prototype);
    if (bodies.size >= MOST_BODIES) bodies.clear();
    bodies.set(code, made);
    return made;
  };
  const run = (code, input, most) => {
    if (own !== null && !swept()) { answer = 'r'; return; }
    turn += 1;
    limit = most;
    printed = asked = 0;
    logs = answer = asks = '';
    waiting = new Table();
    timers = new Table();
    try {
      const body = bodies.get(code) ?? compiled(code);
      const value = body(parse(input), own === null ? undefined : ask);
      if (value !== null && typeof value === 'object' && typeof value.then === 'function') {
        const mine = turn;
        then(resolve(value), (done) => { if (mine === turn) settle(done); }, (no) => { if (mine === turn) fail(no); });
      } else settle(value);
    } catch (error) { fail(error); }
  };
  const deliver = (answers) => {
    for (const [id, good, said] of parse(answers)) {
      const promised = waiting.get(id);
      waiting.delete(id);
      if (promised) { if (good) promised[0](said); else promised[1](new Error(said)); }
    }
  };

  // What a script left on the global object is removed; false if that cannot be.
  const prototype = getPrototypeOf(globalThis);
  const swept = () => {
    for (const key of ownKeys(globalThis)) if (!own.has(key) && !deleteProperty(globalThis, key)) return false;
    return isExtensible(globalThis) && getPrototypeOf(globalThis) === prototype;
  };

  // Freeze all that scripts share, so that the isolate can be used again. What would go on after a script's end or
  // remember it is taken away.
  const traced = (value) => { Error.captureStackTrace(value); return value; };
  const keep = () => {
    for (const key of ownKeys(RegExp)) {
      const legacy = getOwnPropertyDescriptor(RegExp, key);
      if (legacy.get && typeof key === 'string') deleteProperty(RegExp, key);
    }
    for (const [owner, names] of [
      [globalThis, ['FinalizationRegistry', 'ShadowRealm']], [Atomics, ['waitAsync']],
      [WebAssembly, ['compile', 'instantiate']],
    ]) for (const name of names) deleteProperty(owner, name);
    own = new Known(ownKeys(globalThis));
    const shared = new Known();
    const visit = (value) => {
      if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return;
      if (value === globalThis || shared.has(value)) return;
      shared.add(value);
      visit(getPrototypeOf(value));
      for (const key of ownKeys(value)) {
        const found = getOwnPropertyDescriptor(value, key);
        visit(found.value);
        visit(found.get);
        visit(found.set);
      }
    };
    for (const key of own) visit(globalThis[key]);
    const hidden = [function* () {}, async function* () {}, async () => {}, [].values(), new Table().keys(),
      new Known().values(), ''[Symbol.iterator](), ''.matchAll(/a/g), [].values().map(text),
      Iterator.from({ next() {} }), new Intl.Segmenter().segment('a'), new Intl.Segmenter().segment('a')[Symbol.iterator]()];
    for (const value of hidden) visit(getPrototypeOf(value));
    for (const found of [getOwnPropertyDescriptor(new Error(), 'stack'), getOwnPropertyDescriptor(traced({}), 'stack')]) {
      visit(found.get);
      visit(found.set);
    }
    visit(prototype);
    for (const key of own) {
      const made = globalThis[key];
      if (typeof made === 'function' && made.prototype) assignable(made.prototype);
    }
    for (const value of [...shared, ask]) freeze(value);
    for (const key of own) {
      const found = getOwnPropertyDescriptor(globalThis, key);
      defineProperty(globalThis, key, 'value' in found ? { writable: false, configurable: false } : { configurable: false });
    }
    return true;
  };

  // An object may have a property of its own by the name of one that its frozen prototype has: `this.name = 'Mine'`.
  const NAMES = ['constructor', 'toString', 'toJSON', 'valueOf', 'name', 'message'];
  const assignable = (holder) => {
    for (const key of holder === Object.prototype ? ownKeys(holder) : NAMES) {
      const found = getOwnPropertyDescriptor(holder, key);
      if (!found?.configurable || !('value' in found)) continue;
      const kept = found.value;
      const { get, set } = {
        get() { return kept; },
        set(value) {
          if (this === holder) throw new TypeError(`Cannot assign to '${text(key)}' of a built-in object`);
          const made = { value, writable: true, enumerable: true, configurable: true };
          if (!defineProperty(this, key, made)) throw new TypeError(`Cannot assign to '${text(key)}'`);
        },
      };
      freeze(get);
      freeze(set);
      defineProperty(holder, key, { get, set, enumerable: found.enumerable, configurable: false });
    }
  };

  // Accessors, since one of them is one task for the isolate and a call of a function is three or more.
  return {
    set task(text) {
      const [most, input, ...code] = split(text, '\0');
      run(join(code, '\0'), input, +most);
    },
    set answers(text) { deliver(text); },
    get told() { return told(); },
    get kept() { return keep(); },
  };
})()
