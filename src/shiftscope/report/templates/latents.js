"use strict";
// Show the cards of one autoencoder or concept alone. Without this script all are shown and links lead to each.
{
  const form = document.querySelector("#filter");
  const [variant, concept] = form.querySelectorAll("select");
  const cards = [...document.querySelectorAll(".card")];
  const show = () => {
    for (const card of cards) {
      const of = card.dataset.concepts.split(" ");
      card.hidden = Boolean((variant.value && card.dataset.variant !== variant.value) || (concept.value && !of.includes(concept.value)));
    }
    for (const part of document.querySelectorAll(".variant-cards")) part.hidden = !part.querySelector(".card:not([hidden])");
    form.querySelector("output").textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length} cards`;
  };
  // a link may lead to a card that is hidden
  const follow = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target?.closest("[hidden]")) return;
    form.reset();
    show();
    target.scrollIntoView();
  };
  form.hidden = false;
  form.addEventListener("change", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  show(); // a browser that goes back keeps what was chosen
}
