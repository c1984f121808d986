// Search in the list of projects: no request leaves for it, so it works from a disk too.
"use strict";
var shownFirst = 200;
function showProjects(names) {
  var form = document.getElementById("search");
  var input = document.getElementById("query");
  var list = document.getElementById("projects");
  var count = document.getElementById("count");
  function show() {
    var wanted = input.value.trim().toLowerCase().replace(/[-_.]+/g, "-");
    var found = names.filter(function (name) { return name.indexOf(wanted) >= 0; });
    // Names that begin with what was typed come first.
    found.sort(function (a, b) { return (b.indexOf(wanted) === 0) - (a.indexOf(wanted) === 0); });
    list.replaceChildren.apply(list, found.slice(0, shownFirst).map(function (name) {
      var item = document.createElement("li");
      var link = document.createElement("a");
      link.href = "simple/" + name + "/index.html";
      link.textContent = name;
      item.appendChild(link);
      return item;
    }));
    count.textContent = found.length + " of " + names.length + " projects" +
      (found.length > shownFirst ? ", the first " + shownFirst + " are shown" : "");
  }
  form.hidden = false;
  form.addEventListener("submit", function (event) { event.preventDefault(); show(); });
  input.addEventListener("input", show);
  var query = /[?&]q=([^&]*)/.exec(location.search);
  if (query) { input.value = decodeURIComponent(query[1].replace(/\+/g, " ")); show(); }
}
if (location.protocol.indexOf("http") === 0) {
  var address = new URL("simple/", location.href).href;
  document.querySelectorAll(".address").forEach(function (each) { each.textContent = address; });
}
