// The style sheet of the documentation page. Its hash stands in the page's policy, so nothing is added to it at run time.

export const DOCS_STYLE = `
:root{color-scheme:light dark;--bg:#fdfdfc;--fg:#1d2327;--soft:#5b6670;--line:#dfe3e6;--box:#f3f5f6;--link:#0b5cad;--get:#0a7a4b;--post:#0b5cad;--patch:#9a5b00;--delete:#b3261e}
@media (prefers-color-scheme:dark){:root{--bg:#14181b;--fg:#e3e7ea;--soft:#9aa6af;--line:#2b3338;--box:#1c2226;--link:#7db8f7;--get:#5fce9b;--post:#7db8f7;--patch:#e0ac5c;--delete:#f08a80}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0 auto;max-width:84rem;padding:1.5rem;font:16px/1.55 system-ui,sans-serif;background:var(--bg);color:var(--fg)}
@media (min-width:64rem){body{display:grid;grid-template-columns:21rem minmax(0,1fr);column-gap:3rem}header{grid-column:1/-1}nav{position:sticky;top:0;max-height:100vh;overflow:auto;padding-bottom:2rem}}
h1{margin:0;font-size:2rem}h1 small{font-size:1rem;font-weight:400;color:var(--soft)}
h2{margin:2.5rem 0 .25rem;font-size:1.3rem}h3{margin:0;font-size:1.05rem;overflow-wrap:anywhere}
nav h2{margin:1.25rem 0 .25rem;font-size:.8rem;text-transform:uppercase;letter-spacing:.06em;color:var(--soft)}
nav ul,.answers{list-style:none;margin:0;padding:0}nav li{font-size:.85rem;overflow-wrap:anywhere}nav a{display:block;padding:.1rem 0}
a{color:var(--link);text-decoration:none}a:hover,a:focus-visible{text-decoration:underline}
.lead{margin:.35rem 0;font-size:1.05rem}
article{margin:1.25rem 0;padding:1.1rem 1.25rem;border:1px solid var(--line);border-radius:.6rem}
article:target,tr:target,details:target{outline:2px solid var(--link)}
pre,code{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
code{background:var(--box);padding:.1em .3em;border-radius:.25em}h3 code{background:none;padding:0;font-size:1em}
pre{margin:.6rem 0;padding:.8rem 1rem;background:var(--box);border-radius:.4rem;overflow:auto}
@media (max-width:40rem){table{display:block;overflow-x:auto}}
table{width:100%;border-collapse:collapse;font-size:.9rem;margin:.8rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:600}
summary{cursor:pointer;color:var(--soft)}.answers li{padding:.15rem 0;font-size:.9rem}.answers .good b{color:var(--get)}.answers .bad b{color:var(--soft)}
details.inline{display:inline-block;vertical-align:top;max-width:100%}
.GET{color:var(--get)}.POST{color:var(--post)}.PATCH,.PUT{color:var(--patch)}.DELETE{color:var(--delete)}
`;
