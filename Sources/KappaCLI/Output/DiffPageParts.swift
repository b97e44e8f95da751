/// The parts of ``DiffPage`` that are the same on every page.
enum DiffPageParts {
    /// The page loads nothing, whatever data is in it.
    static let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

    static let style = """
        :root { color-scheme: light dark; --line: #d8dce2; --soft: #f3f5f8; --text: #1c2128;
          --mute: #636c76; --add: #1a7f37; --sub: #b42318; --mod: #9a6700;
          --add-soft: #dafbe1; --sub-soft: #ffe3e0; --back: #ffffff; }
        @media (prefers-color-scheme: dark) {
          :root { --line: #3a414a; --soft: #22272e; --text: #dce2e8; --mute: #99a3ad;
            --add: #57c76f; --sub: #ff8b80; --mod: #e0b341; --add-soft: #143c22;
            --sub-soft: #4d1f1c; --back: #16191d; } }
        body { margin: 0; background: var(--back); color: var(--text);
          font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
        h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
        p { margin: .25rem 0; }
        ul { list-style: none; margin: .5rem 0; padding: 0; }
        code { font-size: .9em; }
        .sides { color: var(--mute); }
        .counts { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1rem; }
        .counts li { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; }
        .counts b { font-size: 1.3rem; display: block; }
        .counts small { color: var(--mute); margin-left: .5rem; }
        .counts .added b, tr.added > td:first-child { color: var(--add); }
        .counts .removed b, tr.removed > td:first-child { color: var(--sub); }
        .counts .changed b, tr.changed > td:first-child { color: var(--mod); }
        table { border-collapse: collapse; }
        th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid var(--line);
          vertical-align: top; unicode-bidi: isolate; }
        .n { text-align: right; font-variant-numeric: tabular-nums; }
        .columns td:nth-child(3) { width: 16rem; }
        .bar { background: var(--mod); height: .8rem; margin-top: .35rem; border-radius: .2rem;
          min-width: 2px; }
        .scroll { overflow-x: auto; margin-top: .5rem; }
        .rows td { max-width: 24rem; overflow-wrap: anywhere; }
        .rows thead th { background: var(--soft); white-space: nowrap; }
        .rows button { all: unset; cursor: pointer; font-weight: 600; }
        .rows button:focus-visible { outline: 2px solid var(--mod); }
        th[aria-sort=ascending] button::after { content: " ▲"; }
        th[aria-sort=descending] button::after { content: " ▼"; }
        del { background: var(--sub-soft); color: var(--sub); text-decoration: line-through; }
        ins { background: var(--add-soft); color: var(--add); text-decoration: none; }
        input { font: inherit; padding: .3rem .6rem; border: 1px solid var(--line);
          border-radius: .4rem; background: var(--back); color: inherit; width: 18rem; }
        .none { font-size: 1.1rem; margin-top: 2rem; }
        """

    /// Hides the rows that do not match the search, and sorts by the clicked column.
    static let script = """
        const search = document.getElementById("search");
        const rows = [...document.querySelectorAll("table.rows tbody tr")];
        const words = rows.map((row) => row.textContent.toLowerCase());
        search?.addEventListener("input", () => {
          const wanted = search.value.trim().toLowerCase();
          let found = 0;
          rows.forEach((row, index) => {
            row.hidden = !words[index].includes(wanted);
            if (!row.hidden) found += 1;
          });
          document.getElementById("found").textContent = wanted ? found + " found" : "";
        });
        const shown = (row, index) =>
          (row.cells[index].querySelector("ins") ?? row.cells[index]).textContent;
        const compare = (a, b) => {
          const x = Number(a), y = Number(b);
          const areNumbers = a !== "" && b !== "" && !isNaN(x) && !isNaN(y);
          return areNumbers ? x - y : a.localeCompare(b);
        };
        document.querySelectorAll("table.rows").forEach((table) => {
          const heads = [...table.tHead.rows[0].cells];
          heads.forEach((head, index) => head.firstChild.addEventListener("click", () => {
            const isUp = head.getAttribute("aria-sort") !== "ascending";
            heads.forEach((other) => other.removeAttribute("aria-sort"));
            head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
            const sorted = [...table.tBodies[0].rows].sort((a, b) =>
              (isUp ? 1 : -1) * compare(shown(a, index), shown(b, index)));
            table.tBodies[0].append(...sorted);
          }));
        });
        """
}
