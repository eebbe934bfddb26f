"""What the demo's experiments are called."""

from __future__ import annotations

import random

#: One title a proposal with data, by technique.
MEASURED = {
    "diffraction": (
        "Thermal expansion of ceria for solid oxide fuel cells",
        "Lattice strain in nanocrystalline ceria under oxygen loss",
        "In situ sintering of doped ceria electrolytes",
        "Phase stability of lanthanum hexaboride emitters",
        "Oxygen storage in ceria-zirconia followed by powder diffraction",
        "Reference patterns for the new area detector",
        "Residual stress in ceria coatings after thermal shock",
        "Kinetics of cation ordering in pyrochlores",
    ),
    "tomography": (
        "Pore network of aluminium foams under load",
        "Growth lines in the teeth of early hominins",
        "Crack initiation in fibre-reinforced concrete",
        "Vessels of drought-stressed grapevine",
        "Virtual unrolling of carbonised papyri",
        "Fluid flow in sandstone during freezing",
        "Additively manufactured lattices before and after fatigue",
        "Brain of a bumblebee in three dimensions",
    ),
    "fluorescence": (
        "Trace metals in Roman glass from Aquileia",
        "Zinc and copper in ageing neurons",
        "Uptake of arsenic by rice roots",
        "Degradation of cadmium yellow in early modern paintings",
        "Iron distribution in wheat grain",
        "Nickel in leaves of hyperaccumulating plants",
        "Corrosion layers on bronze from shipwrecks",
        'Manganese in stalagmites: "wet" <and> dry years in מערת שורק',
    ),
    "saxs": (
        "Size and polydispersity of silica nanoparticles in water",
        "Aggregation of colloids close to the gel point",
        "Protein corona on silica spheres",
        "Shape of a membrane protein in detergent micelles",
        "Early stages of zeolite nucleation",
        "Interactions in concentrated antibody solutions",
        "Self-assembly of latex films while drying",
        "Calibration of absolute intensity with silica spheres",
    ),
}

#: Titles that a page which takes text for markup, or assumes a direction or a length, does not survive.
AWKWARD = (
    'The "quoted" title and the reviewer\'s reply',
    "<b>Bold</b> claims about <i>in situ</i> strain & stress",
    "<script>document.title='taken'</script> in a title",
    "</textarea></select><img src=x onerror=alert(1)>",
    "دراسة تآكل البرونز باستخدام الأشعة السينية",
    "מיפוי יסודות בזכוכית רומית מקיסריה",
    "Aging of نحاس alloys and ברזל tools, mixed directions (part 2)",
    "\u202eReversed by an override mark\u202c and back",
    "{{ 7 * 7 }} ${7*7} %s %(title)s {0}",
    "Θερμική διαστολή, 热膨胀, 熱膨張, тепловое расширение 🔬",
    "Null; DROP TABLE experiments; -- `id` $(id) ../../etc/passwd",
    "Pneumonoultramicroscopicsilicovolcanoconiosis" * 6,
    "On the very long and patient study of " + "the slow relaxation of glasses, " * 20 + "continued",
    "a",
)

_DOING = {
    "diffraction": (
        "Phase transitions in",
        "Strain mapping of",
        "Structure of",
        "Texture of",
        "In situ study of",
    ),
    "tomography": (
        "Microstructure of",
        "Three-dimensional imaging of",
        "Damage in",
        "Porosity of",
        "Dynamics in",
    ),
    "fluorescence": (
        "Elemental mapping of",
        "Trace elements in",
        "Speciation in",
        "Metal uptake by",
        "Pigments of",
    ),
    "saxs": ("Self-assembly of", "Conformation of", "Aggregation of", "Kinetics of", "Solution structure of"),
}
_OF = {
    "diffraction": (
        "battery cathodes",
        "shape-memory alloys",
        "perovskites",
        "turbine blades",
        "mantle minerals",
    ),
    "tomography": ("volcanic rocks", "amber inclusions", "solder joints", "trabecular bone", "wood", "snow"),
    "fluorescence": (
        "plant roots",
        "medieval glass",
        "meteorites",
        "oil paintings",
        "diatoms",
        "river sediments",
    ),
    "saxs": ("block copolymers", "viral capsids", "lipid nanoparticles", "casein micelles", "DNA origami"),
}
_HOW = (
    "under pressure",
    "at high temperature",
    "during ageing",
    "after irradiation",
    "in humid air",
    "at the nanoscale",
    "from the Mediterranean",
    "with time resolution",
    "as a function of composition",
    "beyond the elastic limit",
)


def made_up(rng: random.Random, technique: str) -> str:
    """A title as proposals have them."""
    return f"{rng.choice(_DOING[technique])} {rng.choice(_OF[technique])} {rng.choice(_HOW)}"
