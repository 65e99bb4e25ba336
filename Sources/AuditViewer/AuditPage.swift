/// The page itself: three texts that need no building and nothing from elsewhere.
public enum AuditPage {
  public static let html = """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Postern audit</title>
    <link rel="stylesheet" href="/page.css">
    <header>
      <h1>Postern audit</h1>
      <span id="state" role="status">connecting</span>
      <button id="badge" title="Verify the journal again">verifying …</button>
    </header>
    <p id="advice" hidden></p>
    <form id="form" role="search">
      <label for="filter">Filter</label>
      <input id="filter" list="words" autocomplete="off" autocapitalize="off" spellcheck="false"
        placeholder="reason:limit object:web since:15m">
      <datalist id="words"></datalist>
      <button type="button" id="refusals" aria-pressed="false">Refusals only</button>
      <button type="button" id="hold" aria-pressed="false">Hold</button>
      <output id="mistake"></output>
    </form>
    <main>
      <section id="overview">
        <figure><figcaption>Records over time <small id="span"></small></figcaption>
          <svg id="timeline" role="img" aria-label="Records over time"></svg></figure>
        <figure><figcaption>Who may what, and what was refused <small id="hidden"></small></figcaption>
          <svg id="graph" role="img" aria-label="Applications and objects"></svg>
          <p class="legend"><span class="line grant">granted by the policy</span>
            <span class="line refused">refused</span> <span class="line allowed">allowed</span></p></figure>
      </section>
      <section id="list" aria-label="Records">
        <table><thead><tr><th>Seq<th>Time<th>Verdict<th>Who<th>What<th>Why</tr></thead>
          <tbody id="rows"></tbody><tbody id="found"></tbody></table>
        <div id="empty"></div>
        <p id="reach"><span id="covered"></span> <button type="button" id="older" hidden>Search older ones</button></p>
      </section>
      <aside id="detail" aria-label="Why" hidden>
        <button id="close" aria-label="Close">×</button>
        <div id="told"></div>
      </aside>
    </main>
    <footer><kbd>/</kbd> filter <kbd>↑</kbd> <kbd>↓</kbd> select <kbd>Enter</kbd> why <kbd>Esc</kbd> close
      <kbd>r</kbd> refusals <kbd>f</kbd> hold <kbd>o</kbd> older</footer>
    <script src="/page.js"></script>
    </html>
    """
}
