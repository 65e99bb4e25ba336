extension AuditPage {
  /// Every text goes in as a text node: no name is ever markup.
  public static let script = """
    'use strict';
    const $ = id => document.getElementById(id);
    const most = 300;
    let live, records = [], selected = null, held = false, waiting = [], grants = [], pairs = [], bars = [], asked = 0;
    let newest = {}, reached = null, search = 0;

    function make(name, text, attributes) {
      const svg = ['svg', 'path', 'text', 'rect', 'line', 'title', 'g'].includes(name);
      const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
      for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
      if (text !== undefined) node.textContent = text;
      return node;
    }
    const words = () => $('filter').value;

    function connect() {
      if (live) live.close();
      const address = new URL(location.href);
      if (words()) address.searchParams.set('filter', words()); else address.searchParams.delete('filter');
      history.replaceState(null, '', address);
      $('refusals').setAttribute('aria-pressed', /(^| )verdict:refused( |$)/.test(words()));
      live = new EventSource('/live?filter=' + encodeURIComponent(words()));
      live.onmessage = event => take(JSON.parse(event.data));
      live.onerror = () => say('the server is gone; trying again', true);
    }
    function say(text, isBad) { $('state').textContent = text; $('state').className = isBad ? 'bad' : ''; }

    function take(message) {
      if (message.first) { records = []; waiting = []; forget(); }
      newest = message;
      $('mistake').textContent = message.mistake || '';
      say(message.obstacle || `${held ? 'held' : 'live'}: ${message.matched} match, ${message.kept} kept` +
        (message.isFull ? ' (the newest)' : '') + (message.repeats ? `, ${message.repeats} repeat the one before` : '') +
        (message.skipped ? `, ${message.skipped} passed over` : '') +
        (message.dropped ? `, ${message.dropped} dropped by the journal` : ''), !!message.obstacle);
      bars = message.bars; pairs = message.pairs;
      $('span').textContent = bars.length ? `${message.span} a bar` : '';
      $('hidden').textContent = message.hiddenPairs ? `${message.hiddenPairs} more pairs` : '';
      $('empty').textContent = '';
      // Of those that are kept; what a search found stands above it.
      if (!$('found').children.length) for (const line of message.empty) $('empty').append(make('p', line));
      drawTimeline(); drawGraph();
      cover();
      if (held && !message.first) { waiting = waiting.concat(message.rows).slice(-most); return; }
      add(message.rows, message.first);
    }
    function add(rows, isFirst) {
      records = records.concat(rows).slice(-most);
      const body = $('rows');
      if (isFirst) body.replaceChildren();
      const fresh = rows.slice(-most).map(row);
      body.prepend(...fresh.reverse());
      while (body.children.length > most) body.lastChild.remove();
      mark();
    }
    function row(record) {
      const line = make('tr', undefined, { tabindex: '-1', 'data-sequence': record.sequence, class: record.verdict });
      record.cells.forEach((text, index) => line.append(make('td', text, index === 2 ? { class: 'verdict' } : {})));
      line.onclick = () => { select(record.sequence); open(record.sequence); };
      return line;
    }
    function lines() { return [...$('rows').children, ...$('found').children]; }

    // What is behind the records that the page is kept up to date with: asked for piece by piece.
    function forget() { search++; reached = null; $('found').replaceChildren(); cover(); }
    function cover() {
      const from = reached || newest.from || 0, all = newest.last || 0;
      $('covered').textContent = from > 1 ? `${words() ? 'The filter covers' : 'These are'} the newest ` +
        `${all - from + 1} of ${all} records.` : '';
      $('older').hidden = from <= 1;
    }
    async function older() {
      const mine = ++search, button = $('older');
      if (reached === null) {
        // The list has only so many of those that are kept.
        const all = lines();
        reached = all.length && all.length < newest.matched ? Number(all[all.length - 1].dataset.sequence) : newest.from;
      }
      button.disabled = true; button.textContent = 'Searching …';
      try {
        let count = 0;
        while (mine === search && !count && reached > 1) {
          const told = await (await fetch(`/older?before=${reached}&filter=` + encodeURIComponent(words()))).json();
          if (mine !== search) break;
          if (told.obstacle) { say(told.obstacle, true); break; }
          reached = told.from; count = told.rows.length;
          $('found').append(...told.rows.reverse().map(row));
          if (count) $('empty').textContent = '';
          cover();
        }
      } catch (error) { say('the server is gone', true); }
      button.disabled = false; button.textContent = 'Search older ones';
    }
    function mark() {
      for (const line of lines()) line.setAttribute('aria-selected', line.dataset.sequence === String(selected));
    }
    function select(sequence) { selected = sequence; mark(); }
    function move(by) {
      const all = lines(); if (!all.length) return;
      const at = all.findIndex(line => line.dataset.sequence === String(selected));
      const line = all[Math.min(Math.max(at < 0 ? 0 : at + by, 0), all.length - 1)];
      select(Number(line.dataset.sequence)); line.focus({ preventScroll: true }); line.scrollIntoView({ block: 'nearest' });
      if (!$('detail').hidden) open(selected);
    }

    async function open(sequence) {
      const mine = ++asked;
      $('detail').hidden = false; document.querySelector('main').classList.add('open');
      $('told').replaceChildren(make('p', `reading what came before ${sequence} …`));
      let told;
      try {
        const answer = await fetch('/why?id=' + sequence);
        told = await answer.json();
      } catch (error) { told = { obstacle: 'the server is gone' }; }
      if (mine !== asked) return;
      const list = make('dl');
      for (const part of told.parts || []) {
        list.append(make('dt', part.title));
        const cell = make('dd');
        part.lines.forEach((line, index) =>
          cell.append(make('p', line, part.title === 'why' && !index ? { class: 'why' } : {})));
        list.append(cell);
      }
      $('told').replaceChildren(make('h2', `Record ${sequence}`));
      if (told.obstacle) $('told').append(make('p', told.obstacle, { class: 'warning' }));
      if ((told.suggestion || []).length) {
        const box = make('pre', undefined, { id: 'suggestion' });
        for (const line of told.suggestion)
          box.append(make('span', line + '\\n', line.startsWith('warning:') ? { class: 'warning' } : {}));
        for (const line of told.diff)
          box.append(make('span', line + '\\n', { class: line[0] === '+' ? 'plus' : line[0] === '-' ? 'minus' : '' }));
        $('told').append(list, make('h2', 'What would have allowed exactly this'), box);
      } else $('told').append(list);
    }
    function close() { asked++; $('detail').hidden = true; document.querySelector('main').classList.remove('open'); }

    function drawTimeline() {
      const svg = $('timeline'), width = svg.clientWidth || 600, height = svg.clientHeight || 120;
      svg.setAttribute('viewBox', `0 0 ${width} ${height}`); svg.replaceChildren();
      if (!bars.length) return;
      const top = Math.max(...bars.map(bar => bar.count)), space = height - 34, step = Math.min(24, width / bars.length);
      svg.append(make('line', undefined, { x1: 0, x2: width, y1: height - 18, y2: height - 18 }));
      bars.forEach((bar, index) => {
        if (!bar.count) return;
        const tall = Math.max(1.5, bar.count / top * space);
        const box = make('rect', undefined, { x: index * step, y: height - 18 - tall, width: Math.max(1, step - 1), height: tall });
        box.append(make('title', `${bar.start}: ${bar.count}`)); svg.append(box);
      });
      svg.append(make('text', `most ${top}`, { x: 0, y: 11 }));
      svg.append(make('text', bars[0].start.slice(5), { x: 0, y: height - 4 }));
      if (bars.length > 1 && bars.length * step > 260)
        svg.append(make('text', bars[bars.length - 1].start.slice(5), { x: bars.length * step, y: height - 4, 'text-anchor': 'end' }));
    }

    function drawGraph() {
      const svg = $('graph'), edges = new Map(), key = (a, o) => JSON.stringify([a, o]);
      for (const grant of grants)
        edges.set(key(grant.application, grant.object), { application: grant.application, object: grant.object,
          operations: grant.operations, allowed: 0, refused: 0 });
      for (const pair of pairs) {
        const edge = edges.get(key(pair.application, pair.object)) || { ...pair };
        edge.allowed = pair.allowed; edge.refused = pair.refused; edges.set(key(pair.application, pair.object), edge);
      }
      const all = [...edges.values()].sort((a, b) => b.refused - a.refused || b.allowed - a.allowed).slice(0, 40);
      const left = [...new Set(all.map(edge => edge.application))], right = [...new Set(all.map(edge => edge.object))];
      const width = svg.clientWidth || 600, gap = 24, height = Math.max(left.length, right.length, 1) * gap + 8;
      svg.setAttribute('viewBox', `0 0 ${width} ${height}`); svg.style.height = height + 'px'; svg.replaceChildren();
      const from = width * .32, to = width * .66;
      // Letters are of any width, and a name is as long as who asked for it wanted.
      const put = (name, space, attributes) => {
        const node = make('text', name, attributes); let letters = [...name], wide;
        svg.append(node);
        while (letters.length > 1 && (wide = node.getComputedTextLength()) > space) {
          letters = letters.slice(0, Math.max(1, Math.min(letters.length - 1, Math.floor(letters.length * space / wide))));
          node.textContent = letters.join('') + '…';
        }
        if (node.textContent !== name) node.append(make('title', name));
      };
      const y = (list, name) => list.indexOf(name) * gap + 20;
      const draw = (edge, kind, bend, count) => {
        const a = y(left, edge.application) - 4 + bend, b = y(right, edge.object) - 4 + bend, middle = (from + to) / 2;
        const path = make('path', undefined, { class: kind, 'stroke-width': count === undefined ? 2 : Math.min(6, 1 + Math.log10(1 + count)),
          d: `M${from + 4},${a} C${middle},${a} ${middle},${b} ${to - 4},${b}` });
        path.append(make('title', `${edge.application || 'no application'} → ${edge.object}` +
          (edge.operations ? `, may ${edge.operations}` : '') + `, ${edge.refused} refused, ${edge.allowed} allowed`));
        svg.append(path);
      };
      for (const edge of all) {
        if (edge.operations) draw(edge, 'grant', 0);
        if (edge.allowed) draw(edge, 'pair allowed', 3, edge.allowed);
        if (edge.refused) draw(edge, 'pair refused', -3, edge.refused);
      }
      for (const name of left) put(name || 'no application', from, { x: from, y: y(left, name), 'text-anchor': 'end' });
      for (const name of right) {
        const refused = all.filter(edge => edge.object === name).reduce((sum, edge) => sum + edge.refused, 0);
        put(name, width - to - 44, { x: to, y: y(right, name) });
        if (refused) svg.append(make('text', refused, { x: width - 2, y: y(right, name), 'text-anchor': 'end', class: 'refused-count' }));
      }
    }

    async function verify() {
      const badge = $('badge'); badge.textContent = 'verifying …'; badge.className = '';
      try {
        const told = await (await fetch('/verify')).json();
        $('advice').textContent = told.advice || ''; $('advice').hidden = !told.advice;
        badge.textContent = told.obstacle || `integrity ${told.integrity} · ${told.completeness}`;
        badge.title = told.lines.join('\\n');
        badge.className = told.isBad ? 'bad' : told.isGood ? 'good' : 'doubt';
      } catch (error) { badge.textContent = 'not verified'; badge.className = 'doubt'; }
    }

    let typing;
    $('filter').oninput = () => { clearTimeout(typing); typing = setTimeout(connect, 200); };
    $('form').onsubmit = event => { event.preventDefault(); $('filter').blur(); };
    $('badge').onclick = verify;
    $('older').onclick = older;
    $('close').onclick = close;
    $('refusals').onclick = () => {
      const rest = words().split(/\\s+/).filter(word => word && word !== 'verdict:refused');
      if (rest.length === words().split(/\\s+/).filter(Boolean).length) rest.push('verdict:refused');
      $('filter').value = rest.join(' '); connect();
    };
    $('hold').onclick = () => {
      held = !held; $('hold').setAttribute('aria-pressed', held);
      if (!held) { add(waiting, false); waiting = []; }
    };
    document.onkeydown = event => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === 'Escape') { if (!$('detail').hidden) close(); else document.activeElement.blur(); return; }
      if (document.activeElement === $('filter') || document.activeElement.tagName === 'BUTTON') return;
      const keys = { '/': () => $('filter').focus(), ArrowDown: () => move(1), ArrowUp: () => move(-1), j: () => move(1),
        k: () => move(-1), Enter: () => selected !== null && open(selected), r: () => $('refusals').click(), f: () => $('hold').click(),
        o: () => !$('older').hidden && older() };
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    };
    window.onresize = () => { drawTimeline(); drawGraph(); };
    $('filter').value = new URL(location.href).searchParams.get('filter') || '';
    fetch('/grants').then(answer => answer.json()).then(told => {
      grants = told.grants; drawGraph();
      for (const word of told.words) $('words').append(make('option', undefined, { value: word }));
    }).catch(() => {});
    connect(); verify();
    """
}
