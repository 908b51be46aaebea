"""The words of the synthetic shop in other languages: one for each value, by the first English form of the value.

Brands are the same everywhere. Subtypes that are not listed are loanwords.
"""

import numpy as np

from tfsage.data.synthetic.concepts import ABSENT, ATTRIBUTES


def _columns(rows: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Rows of "english|spanish|german" as English → word, by language."""
    split = [row.split("|") for row in rows]
    return {language: {row[0]: row[place] for row in split} for place, language in ((1, "es"), (2, "de"))}


_TABLES = {
    "category": _columns((
        "desk|escritorio|schreibtisch", "sofa|sofá|sofa", "armchair|sillón|sessel",
        "dining chair|silla de comedor|esszimmerstuhl", "dining table|mesa de comedor|esstisch",
        "coffee table|mesa de centro|couchtisch", "nightstand|mesita de noche|nachttisch", "dresser|cómoda|kommode",
        "bookcase|librería|bücherregal", "bed frame|estructura de cama|bettgestell", "bench|banco|sitzbank",
        "bar stool|taburete de bar|barhocker", "sideboard|aparador|anrichte", "ottoman|puf|polsterhocker",
        "rug|alfombra|teppich", "curtain|cortina|vorhang", "throw pillow|cojín|zierkissen",
        "throw blanket|manta|kuscheldecke", "duvet cover|funda nórdica|bettbezug",
        "sheet set|juego de sábanas|bettlaken", "bath towel|toalla de baño|badetuch",
        "shower curtain|cortina de ducha|duschvorhang", "bath mat|alfombrilla de baño|badematte",
        "table lamp|lámpara de mesa|tischlampe", "floor lamp|lámpara de pie|stehlampe",
        "pendant light|lámpara colgante|hängeleuchte", "chandelier|araña de luces|kronleuchter",
        "wall sconce|aplique|wandleuchte", "mirror|espejo|spiegel", "vase|jarrón|blumenvase",
        "planter|maceta|pflanzkübel", "wall art|cuadro|wandbild", "picture frame|marco de fotos|bilderrahmen",
        "candle holder|portavelas|kerzenhalter", "wall clock|reloj de pared|wanduhr",
        "storage basket|cesta|aufbewahrungskorb", "coat rack|perchero|garderobe", "shoe rack|zapatero|schuhregal",
        "dinner plate|plato llano|speiseteller", "mug|taza|becher", "serving bowl|fuente|servierschale",
        "cutting board|tabla de cortar|schneidebrett", "teapot|tetera|teekanne", "tablecloth|mantel|tischdecke",
        "outdoor chair|silla de jardín|gartenstuhl", "outdoor table|mesa de jardín|gartentisch",
        "hammock|hamaca|hängematte", "lantern|farol|laterne",
    )),
    "subtype": _columns((
        "adjustable|ajustable|verstellbar", "arched|arqueado|gewölbt", "backless|sin respaldo|lehnenlos",
        "beaded|con cuentas|perlen", "blackout|opaco|verdunkelnd", "bottle|botella|flaschenform", "candle|vela|kerze",
        "canopy|con dosel|himmel", "canvas|lienzo|leinwand", "carved|tallado|geschnitzt", "chunky|grueso|grobstrick",
        "corner|esquinero|eck", "cube|cubo|würfel", "cylinder|cilindro|zylinder", "dome|cúpula|kuppel",
        "double|doble|doppelt", "extendable|extensible|ausziehbar", "extra-long|extralargo|überlang",
        "fitted|ajustable|spann", "floating|flotante|schwebend", "floor|de suelo|boden", "folding|plegable|klappbar",
        "footed|con pie|mit fuß", "framed|enmarcado|gerahmt", "freestanding|independiente|freistehend",
        "fringed|con flecos|fransen", "full-length|de cuerpo entero|ganzkörper", "globe|globo|kugel",
        "hanging|colgante|hängend", "hooded|con capucha|kapuze", "ladder|escalera|leiter",
        "lidded|con tapa|mit deckel", "memory-foam|viscoelástica|memoryschaum", "modular|modular|modular",
        "nesting|apilables|ineinanderstellbar", "open|abierto|offen", "oval|ovalado|oval",
        "oversized|gigante|übergroß", "pedestal|de pedestal|säulen", "platform|plataforma|podest",
        "pleated|plisado|plissiert", "quilted|acolchado|gesteppt", "reading|de lectura|lese",
        "reversible|reversible|wendbar", "rocking|mecedora|schaukel", "round|redondo|rund",
        "ruffled|con volantes|gerüscht", "runner|pasillera|läufer", "salad|ensalada|salat",
        "sectional|seccional|wohnlandschaft", "sheer|translúcido|transparent", "silent|silencioso|lautlos",
        "six-drawer|seis cajones|sechs schubladen", "sleeper|cama|schlaf", "sliding-door|puerta corredera|schiebetür",
        "stackable|apilable|stapelbar", "standing|de pie|steh", "storage|almacenaje|stauraum",
        "swivel|giratorio|drehbar", "tall|alto|hoch", "travel|de viaje|reise", "tree|árbol|baum",
        "tripod|trípode|dreibein", "tufted|capitoné|getuftet", "turkish|turco|türkisch",
        "two-drawer|dos cajones|zwei schubladen", "upholstered|tapizado|gepolstert",
        "wall-mounted|de pared|wandmontiert", "window|ventana|fenster", "writing|de escritura|schreib",
    )),
    "style": _columns((
        "mid century|retro|retro", "modern|moderno|modern", "scandinavian|escandinavo|skandinavisch",
        "industrial|industrial|industriell", "farmhouse|campestre|landhaus", "bohemian|bohemio|böhmisch",
        "art deco|art déco|art déco", "coastal|costero|maritim", "rustic|rústico|rustikal",
        "traditional|tradicional|traditionell", "minimalist|minimalista|minimalistisch", "japandi|japandi|japandi",
        "victorian|victoriano|viktorianisch", "tropical|tropical|tropisch",
    )),
    "material": _columns((
        "walnut|nogal|nussbaum", "oak|roble|eiche", "teak|teca|teakholz", "pine|pino|kiefer",
        "mango wood|madera de mango|mangoholz", "bamboo|bambú|bambus", "ash|fresno|esche", "acacia|acacia|akazie",
        "brass|latón|messing", "steel|acero|stahl", "iron|hierro|eisen", "copper|cobre|kupfer",
        "aluminum|aluminio|aluminium", "bronze|bronce|bronze", "cotton|algodón|baumwolle", "linen|lino|leinen",
        "velvet|terciopelo|samt", "wool|lana|wolle", "silk|seda|seide", "boucle|bouclé|bouclé",
        "polyester|poliéster|polyester", "jute blend|mezcla de yute|jutemischung", "leather|cuero|leder",
        "suede|ante|wildleder", "faux leather|cuero sintético|kunstleder", "glass|vidrio|glas",
        "smoked glass|vidrio ahumado|rauchglas", "mercury glass|vidrio mercurizado|bauernsilber",
        "ceramic|cerámica|keramik", "stoneware|gres|steingut", "porcelain|porcelana|porzellan",
        "terracotta|terracota|terrakotta", "marble|mármol|marmor", "travertine|travertino|travertin",
        "concrete|hormigón|beton", "granite|granito|granit", "terrazzo|terrazo|terrazzo", "rattan|ratán|rattan",
        "wicker|mimbre|weidengeflecht", "jute|yute|jute", "seagrass|junco marino|seegras", "sisal|sisal|sisal",
    )),
    "color": _columns((
        "white|blanco|weiß", "black|negro|schwarz", "gray|gris|grau", "blue|azul|blau", "light blue|celeste|hellblau",
        "green|verde|grün", "sage|salvia|salbei", "red|rojo|rot", "burgundy|burdeos|bordeaux", "pink|rosa|rosa",
        "yellow|amarillo|gelb", "orange|naranja|orange", "brown|marrón|braun", "beige|beis|beige", "cream|crema|creme",
        "gold|dorado|gold", "silver|plateado|silber", "purple|morado|lila", "teal|turquesa|petrol",
        "natural|natural|natur",
    )),
    "pattern": _columns((
        "solid|liso|einfarbig", "striped|rayas|gestreift", "floral|flores|geblümt", "geometric|geométrico|geometrisch",
        "plaid|cuadros|kariert", "polka dot|lunares|gepunktet", "paisley|cachemira|paisley",
        "animal print|leopardo|tiermuster", "abstract|abstracto|abstrakt", "herringbone|espiga|fischgrät",
        "botanical|botánico|botanisch", "ikat|ikat|ikat",
    )),
    "room": _columns((
        "living room|salón|wohnzimmer", "bedroom|dormitorio|schlafzimmer", "home office|despacho|arbeitszimmer",
        "kitchen|cocina|küche", "dining room|comedor|esszimmer", "bathroom|baño|badezimmer", "entryway|recibidor|flur",
        "patio|terraza|terrasse", "nursery|habitación infantil|kinderzimmer",
        "small apartment|piso pequeño|kleine wohnung",
    )),
    "feature": _columns((
        "foldable|plegable|faltbar", "waterproof|impermeable|wasserdicht", "handmade|hecho a mano|handgemacht",
        "machine washable|lavable|waschbar", "stackable|apilable|stapelbar", "adjustable|regulable|verstellbar",
        "with storage|con almacenaje|mit stauraum", "dimmable|regulable|dimmbar", "eco friendly|ecológico|nachhaltig",
        "stain resistant|antimanchas|fleckabweisend", "lightweight|ligero|leicht", "heavy duty|resistente|robust",
        "pet friendly|para mascotas|haustierfreundlich", "reversible|reversible|wendbar",
        "easy assembly|fácil montaje|einfacher aufbau", "vintage|antiguo|antik", "luxury|de lujo|luxuriös",
        "budget|económico|günstig",
    )),
    "size": _columns((
        "extra small|muy pequeño|sehr klein", "small|pequeño|klein", "medium|mediano|mittel", "large|grande|groß",
        "extra large|muy grande|sehr groß", "king size|extragrande|kingsize",
    )),
}  # fmt: skip

LANGUAGES = ("es", "de")
_ORDER = {
    "es": ("category", "subtype", "material", "color", "pattern", "style", "feature", "size", "brand"),
    "de": ("brand", "size", "style", "color", "pattern", "material", "feature", "subtype", "category"),
}
_FOR = {"es": "para", "de": "für"}


def translate(asked: dict[str, np.ndarray], language: str) -> list[str]:
    """The same queries as somebody who speaks another language would type them.

    Args:
        asked: int [n] by attribute, `ABSENT` where a query says nothing of it.
        language: one of `LANGUAGES`.
    """
    texts = []
    for row in range(len(asked["category"])):
        parts = [_word(name, asked[name][row], language) for name in _ORDER[language] if asked[name][row] != ABSENT]
        if asked["room"][row] != ABSENT:
            room = _word("room", asked["room"][row], language)
            parts.append(f"{_FOR[language]} {room}" if parts else room)
        texts.append(" ".join(parts))
    return texts


def _word(name: str, value: int, language: str) -> str:
    english = ATTRIBUTES[name].forms[value][0].lower()
    return _TABLES[name][language].get(english, english) if name in _TABLES else english
