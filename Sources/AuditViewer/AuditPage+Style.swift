extension AuditPage {
  public static let style = """
    :root { color-scheme: light dark; --back: #fbfbfa; --card: #fff; --text: #1c1e21; --faint: #5f666d; --line: #cfd3d7;
      --bad: #b3261e; --good: #1b6e3c; --doubt: #8a5a00; --accent: #0b57a4; --mark: #e3eefb; }
    @media (prefers-color-scheme: dark) { :root { --back: #15171a; --card: #1d2024; --text: #e6e8ea; --faint: #9aa2aa;
      --line: #4a5159; --bad: #ff8a80; --good: #7fd69b; --doubt: #f0c36d; --accent: #8fc1ff; --mark: #24364a; } }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--back); color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
    header, form, footer { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; padding: .5rem 1rem; }
    header { border-bottom: 1px solid var(--line); }
    h1 { font-size: 1.05rem; margin: 0 auto 0 0; }
    #state { color: var(--faint); }
    #state.bad, .refused .verdict { color: var(--bad); font-weight: 600; }
    .allowed .verdict { color: var(--good); }
    .ended .verdict { color: var(--doubt); }
    button, input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
      border-radius: .4rem; padding: .3rem .6rem; min-height: 2.2rem; }
    button:focus-visible, input:focus-visible, tr:focus-visible { outline: 2px solid var(--accent); outline-offset: -1px; }
    button[aria-pressed=true] { background: var(--mark); border-color: var(--accent); }
    #badge.good { color: var(--good); } #badge.bad { color: var(--bad); } #badge.doubt { color: var(--doubt); }
    #badge { text-align: left; }
    #filter { flex: 1 1 16rem; min-width: 0; font-family: ui-monospace, monospace; }
    #mistake { flex-basis: 100%; color: var(--bad); }
    #mistake:empty { display: none; }
    #advice { margin: 0; padding: .5rem 1rem; color: var(--doubt); }
    #reach { margin: 0; padding: .4rem .5rem; color: var(--faint); } #reach:not(:has(#older:not([hidden]))) { display: none; }
    main { display: grid; grid-template-columns: minmax(0, 1fr); gap: .8rem; padding: 0 1rem; }
    #overview { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: .8rem; }
    figure, #list, #detail { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
      padding: .6rem .8rem; }
    figcaption { color: var(--faint); margin-bottom: .3rem; }
    svg { display: block; width: 100%; font: 12px system-ui, sans-serif; fill: var(--text); }
    #timeline { height: 9rem; } #timeline rect { fill: var(--accent); } #timeline line { stroke: var(--line); }
    #graph path { fill: none; } .grant { stroke: var(--line); color: var(--faint); }
    .pair.refused { stroke: var(--bad); } .pair.allowed { stroke: var(--good); }
    #graph text { stroke: none; } #graph .refused-count { fill: var(--bad); font-weight: 600; }
    .legend { margin: .3rem 0 0; color: var(--faint); font-size: .85rem; }
    .line { white-space: nowrap; }
    .line::before { content: ""; display: inline-block; width: 1.4rem; border-top: 2px solid var(--line);
      vertical-align: middle; margin: 0 .3rem 0 .6rem; }
    .line.refused::before { border-color: var(--bad); } .line.allowed::before { border-color: var(--good); }
    #list { padding: 0; overflow: auto; max-height: 70vh; }
    table { border-collapse: collapse; width: 100%; font-size: 13px; }
    th { position: sticky; top: 0; background: var(--card); text-align: left; color: var(--faint); font-weight: 600;
      border-bottom: 1px solid var(--line); }
    th, td { padding: .25rem .5rem; vertical-align: top; overflow-wrap: anywhere; }
    td { border-bottom: 1px solid var(--line); }
    td:nth-child(-n+3), th { white-space: nowrap; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
    /* One long name leaves the others their room. */
    th:nth-child(4), th:nth-child(5) { width: 30%; } th:nth-child(6) { width: 40%; }
    tbody tr { cursor: pointer; } tbody tr:hover, tr[aria-selected=true] { background: var(--mark); }
    #empty { padding: .6rem 1rem; color: var(--faint); } #empty:empty { display: none; }
    #detail { position: relative; font-size: 13px; } #close { position: absolute; right: .6rem; top: .6rem; }
    #told dl { display: grid; grid-template-columns: 5rem minmax(0, 1fr); gap: .2rem .8rem; margin: 0; }
    #told > :first-child { padding-right: 3rem; }
    dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; } dd p { margin: 0; }
    .why { font-weight: 600; color: var(--bad); }
    h2 { font-size: 1rem; margin: 1rem 0 .3rem; }
    pre { overflow-x: auto; margin: .3rem 0; font: 12px/1.4 ui-monospace, monospace; white-space: pre-wrap;
      overflow-wrap: anywhere; }
    .plus { color: var(--good); } .minus { color: var(--bad); } .warning { color: var(--doubt); }
    footer { color: var(--faint); font-size: .85rem; }
    kbd { border: 1px solid var(--line); border-radius: .25rem; padding: 0 .3rem; font: inherit; }
    @media (min-width: 1100px) { main.open { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
      main.open #overview { grid-column: 1 / -1; } #detail { max-height: 70vh; overflow: auto; } }
    @media (max-width: 700px) { header, form, footer, #advice { padding: .5rem; } main { padding: 0 .5rem; }
      #overview { grid-template-columns: minmax(0, 1fr); } thead { display: none; } footer { display: none; }
      #timeline { height: 6rem; } #list { max-height: none; }
      tr { display: grid; grid-template-columns: auto auto 1fr; padding: .3rem .2rem; border-bottom: 1px solid var(--line); }
      td { border: 0; padding: .1rem .3rem; } td:nth-child(n+4) { grid-column: 1 / -1; }
      td:nth-child(5) { order: 4; font-weight: 600; } td:nth-child(6) { order: 5; }
      td:nth-child(4) { order: 6; color: var(--faint); }
      main.open #detail { position: fixed; inset: 0; overflow: auto; border-radius: 0; z-index: 1; }
      #told dl { grid-template-columns: 4rem minmax(0, 1fr); } }
    """
}
