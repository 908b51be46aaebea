"""The vocabulary of the synthetic shop: the values of every attribute and the words that people use for them.

A value is written as its surface forms separated by `|`; the first is the one that catalogs prefer.
"""

CATEGORIES = (
    # surface forms, taxonomy path, materials, subtypes
    ("desk|work table", "Furniture > Desks", "wood metal glass", "writing standing corner floating"),
    ("sofa|couch|settee", "Furniture > Sofas", "fabric leather", "sectional sleeper loveseat modular"),
    ("armchair|accent chair|lounge chair", "Furniture > Chairs", "fabric leather", "wingback swivel club slipper"),
    ("dining chair|side chair", "Furniture > Chairs", "wood metal fabric leather", "spindle upholstered shell"),
    ("dining table|kitchen table", "Furniture > Tables", "wood metal glass stone", "extendable pedestal trestle round"),
    ("coffee table|cocktail table", "Furniture > Tables", "wood metal glass stone", "nesting lift-top round drum"),
    ("nightstand|bedside table", "Furniture > Cabinets", "wood metal", "floating two-drawer open round"),
    ("dresser|chest of drawers", "Furniture > Cabinets", "wood metal", "tallboy double six-drawer lingerie"),
    ("bookcase|bookshelf|shelving unit", "Furniture > Shelving", "wood metal glass", "ladder corner cube open"),
    ("bed frame|bedstead", "Furniture > Beds", "wood metal fabric leather", "platform canopy storage sleigh"),
    ("bench|settle", "Furniture > Benches", "wood metal fabric leather", "storage entryway window trestle"),
    ("bar stool|counter stool", "Furniture > Chairs", "wood metal leather", "swivel backless saddle adjustable"),
    ("sideboard|buffet|credenza", "Furniture > Cabinets", "wood metal glass", "floating sliding-door open tall"),
    ("ottoman|pouf|footstool", "Furniture > Benches", "fabric leather fiber", "storage cube round tufted"),
    ("rug|carpet", "Decor > Rugs", "fabric fiber", "runner round shag flatweave"),
    ("curtain|drapes|window panel", "Decor > Window Treatments", "fabric", "blackout sheer grommet pleated"),
    ("throw pillow|cushion", "Decor > Pillows", "fabric leather", "lumbar round bolster floor"),
    ("throw blanket|throw", "Decor > Blankets", "fabric", "chunky fringed quilted waffle"),
    ("duvet cover|comforter cover", "Bedding > Duvets", "fabric", "reversible quilted ruffled waffle"),
    ("sheet set|bed sheets", "Bedding > Sheets", "fabric", "fitted percale sateen flannel"),
    ("bath towel|towel", "Bath > Towels", "fabric", "waffle turkish hooded fringed"),
    ("shower curtain|bath curtain", "Bath > Shower Curtains", "fabric fiber", "extra-long pleated ruffled waffle"),
    ("bath mat|bath rug", "Bath > Mats", "fabric fiber wood", "tufted slatted memory-foam round"),
    ("table lamp|desk lamp", "Lighting > Lamps", "metal ceramic glass wood", "gooseneck column gourd bankers"),
    ("floor lamp|standing lamp", "Lighting > Lamps", "metal wood fiber", "arc tripod torchiere reading"),
    ("pendant light|hanging light", "Lighting > Ceiling", "metal glass fiber ceramic", "globe cage cluster dome"),
    ("chandelier|ceiling fixture", "Lighting > Ceiling", "metal glass wood", "sputnik candle beaded ring"),
    ("wall sconce|wall light", "Lighting > Wall", "metal glass ceramic", "swing-arm candle globe up-down"),
    ("mirror|looking glass", "Decor > Mirrors", "wood metal glass", "round arched full-length sunburst"),
    ("vase|flower vase", "Decor > Vases", "ceramic glass metal stone", "bud cylinder bottle urn"),
    ("planter|plant pot", "Decor > Planters", "ceramic stone metal fiber", "hanging self-watering footed tall"),
    ("wall art|print", "Decor > Wall Art", "wood metal fabric", "framed triptych canvas carved"),
    ("picture frame|photo frame", "Decor > Frames", "wood metal glass", "gallery floating collage tabletop"),
    ("candle holder|candlestick", "Decor > Candles", "metal glass ceramic wood", "taper votive pillar hurricane"),
    ("wall clock|clock", "Decor > Clocks", "wood metal glass", "pendulum round sunburst silent"),
    ("storage basket|basket", "Storage > Baskets", "fiber fabric metal", "lidded handled nesting tall"),
    ("coat rack|hall tree", "Storage > Racks", "wood metal", "freestanding wall-mounted tree ladder"),
    ("shoe rack|shoe cabinet", "Storage > Racks", "wood metal fiber", "stackable bench flip-down tiered"),
    ("dinner plate|plate", "Kitchen > Dinnerware", "ceramic stone wood", "coupe rimmed oval salad"),
    ("mug|coffee cup", "Kitchen > Dinnerware", "ceramic glass metal", "espresso travel latte oversized"),
    ("serving bowl|bowl", "Kitchen > Dinnerware", "ceramic wood glass", "salad footed nesting mixing"),
    ("cutting board|chopping board", "Kitchen > Tools", "wood stone fiber", "reversible paddle carving end-grain"),
    ("teapot|tea kettle", "Kitchen > Tea", "ceramic metal glass", "infuser whistling gooseneck stovetop"),
    ("tablecloth|table cover", "Kitchen > Linens", "fabric", "round oval fringed quilted"),
    ("outdoor chair|patio chair", "Outdoor > Seating", "wood metal fiber", "adirondack folding rocking stacking"),
    ("outdoor table|patio table", "Outdoor > Tables", "wood metal stone", "bistro folding round umbrella"),
    ("hammock|garden swing", "Outdoor > Seating", "fabric fiber wood", "hanging spreader double macrame"),
    ("lantern|outdoor light", "Outdoor > Lighting", "metal glass fiber", "solar hanging candle post"),
)  # fmt: skip

MATERIALS = {
    "wood": (
        "walnut|walnut wood|black walnut", "oak|white oak", "teak", "pine|pine wood", "mango wood", "bamboo",
        "ash|ash wood", "acacia",
    ),
    "metal": (
        "brass|antique brass", "steel|stainless steel", "iron|wrought iron", "copper", "aluminum|aluminium",
        "bronze",
    ),
    "fabric": (
        "cotton|organic cotton", "linen|flax linen", "velvet|plush velvet", "wool|merino wool", "silk", "boucle",
        "polyester", "jute blend",
    ),
    "leather": (
        "leather|genuine leather", "suede", "faux leather|vegan leather",
    ),
    "glass": (
        "glass|tempered glass", "smoked glass", "mercury glass",
    ),
    "ceramic": (
        "ceramic", "stoneware", "porcelain|bone china", "terracotta",
    ),
    "stone": (
        "marble|carrara marble", "travertine", "concrete|cement", "granite", "terrazzo",
    ),
    "fiber": (
        "rattan", "wicker|woven willow", "jute", "seagrass", "sisal",
    ),
}  # fmt: skip

STYLES = (
    "mid century|mid-century modern|retro 60s", "modern|contemporary", "scandinavian|nordic", "industrial|loft style",
    "farmhouse|country", "bohemian|boho", "art deco|1920s glam", "coastal|beach house", "rustic|cabin",
    "traditional|classic", "minimalist|minimal", "japandi|zen", "victorian|antique style", "tropical|island style",
)  # fmt: skip

COLORS = (
    "white|ivory", "black|ebony", "gray|grey|charcoal", "blue|navy", "light blue|sky blue", "green|forest green",
    "sage|olive", "red|crimson", "burgundy|wine", "pink|blush", "yellow|mustard", "orange|rust", "brown|chocolate",
    "beige|tan", "cream|off-white", "gold|golden", "silver|chrome", "purple|lavender", "teal|turquoise",
    "natural|honey",
)  # fmt: skip

PATTERNS = (
    "solid|plain", "striped|stripe", "floral|flower print", "geometric", "plaid|checked|tartan", "polka dot|dotted",
    "paisley", "animal print|leopard", "abstract", "herringbone|chevron", "botanical|leaf print", "ikat|tribal",
)  # fmt: skip

SHAPES = ("rounded", "angular", "tapered", "curved", "boxy", "slender", "chunky", "asymmetric", "ribbed", "scalloped")
"""Seen in pictures, and never written down."""

ROOMS = (
    "living room|lounge", "bedroom|guest room", "home office|study", "kitchen", "dining room", "bathroom|powder room",
    "entryway|hallway", "patio|balcony", "nursery|kids room", "small apartment|studio",
)  # fmt: skip

FEATURES = (
    "foldable|folding", "waterproof|water resistant", "handmade|handcrafted", "machine washable|washable",
    "stackable", "adjustable", "with storage|storage", "dimmable", "eco friendly|sustainable", "stain resistant",
    "lightweight", "heavy duty|sturdy", "pet friendly", "reversible", "easy assembly|no tools", "vintage|antique",
    "luxury|premium", "budget|affordable",
)  # fmt: skip

SIZES = ("extra small", "small", "medium", "large", "extra large", "king size")
SIZE_TYPES = ("regular", "oversized", "compact", "petite")

BRAND_STARTS = (
    "Alder", "Bram", "Cast", "Dun", "Ever", "Fen", "Hart", "Lind", "Mar", "Nor", "Oak", "Ros", "Stan", "Wil",
)  # fmt: skip
BRAND_ENDS = ("brook", "field", "haus", "ley", "mere", "ridge", "stead", "ton", "wick", "wood")
COLLECTION_STARTS = (
    "Ada", "Bel", "Cor", "Del", "El", "Fio", "Gal", "Hol", "Is", "Jor", "Ka", "Lu", "Mi", "Na", "Or", "Pa", "Quin",
    "Ri", "Sa", "Ta",
)  # fmt: skip
COLLECTION_ENDS = (
    "belle", "den", "dora", "ette", "ian", "lina", "lo", "mar", "na", "ra", "ric", "sen", "ton", "via", "wyn",
)  # fmt: skip
MARKETPLACES = ("homeshelf.example", "thenest.example", "everyroom.example", "shopandco.example")
FILLER = (
    "Ships within two days.", "A piece you will keep for years.", "Designed in our own studio.", "Free returns.",
    "Rated by thousands of happy customers.", "Brings warmth to any space.", "Pairs well with the whole collection.",
    "Care instructions included.", "Limited stock.", "Made to be lived with.",
)  # fmt: skip
