// "Support": the list and one session's page follow what happens.
import { finder, live } from "./live.js";

const look = live(document.getElementById("live"));
const form = document.getElementById("find-session");
if (form) finder(form, look);
