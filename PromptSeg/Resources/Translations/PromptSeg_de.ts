<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
    <context>
        <name>PromptSeg</name>
        <message>
            <source>PromptSeg</source>
            <translation>PromptSeg</translation>
        </message>
        <message>
            <source>Segment CT with a promptable network, and teach it a new structure from a few drawn slices. Everything is computed on this computer. Research software: not for diagnosis or treatment.</source>
            <translation>CT segmentieren und dem Netz aus wenigen gezeichneten Schichten eine neue Struktur beibringen. Alles wird auf diesem Computer berechnet. Forschungssoftware: nicht für Diagnose oder Behandlung.</translation>
        </message>
        <message>
            <source>The network follows Fischer, Bartler and Yang, Prompt Tuning for Parameter-efficient Medical Image Segmentation (arXiv 2211.09233).</source>
            <translation>Das Netz folgt Fischer, Bartler und Yang, Prompt Tuning for Parameter-efficient Medical Image Segmentation (arXiv 2211.09233).</translation>
        </message>
        <message>
            <source>PromptSeg: test passed</source>
            <translation>PromptSeg: Test bestanden</translation>
        </message>
    </context>
    <context>
        <name>desktop.install</name>
        <message>
            <source>{package} {least} or later ({version} is installed)</source>
            <translation>{package} ab {least} ({version} ist installiert)</translation>
        </message>
        <message>
            <source>{some} and {last}</source>
            <translation>{some} und {last}</translation>
        </message>
        <message>
            <source>To compute on this computer, PromptSeg needs {packages}. They are downloaded from the Python Package Index into 3D Slicer. Install them now?</source>
            <translation>Um auf diesem Computer zu rechnen, braucht PromptSeg {packages}. Sie werden vom Python Package Index in 3D Slicer geladen. Jetzt installieren?</translation>
        </message>
        <message>
            <source>torch for the GPU: about {gb:g} GB to download, 10 minutes or so.</source>
            <translation>torch für die GPU: etwa {gb:g} GB herunterzuladen, rund 10 Minuten.</translation>
        </message>
        <message>
            <source>torch for the CPU, as there is no NVIDIA GPU: about {gb:g} GB to download, some minutes.</source>
            <translation>torch für die CPU, da keine NVIDIA-GPU vorhanden ist: etwa {gb:g} GB herunterzuladen, einige Minuten.</translation>
        </message>
        <message>
            <source>Restart 3D Slicer afterwards if another module has used {names} already.</source>
            <translation>Starten Sie 3D Slicer danach neu, falls ein anderes Modul {names} schon benutzt hat.</translation>
        </message>
        <message>
            <source>The extension PyTorch, which picks the torch for this computer's graphics card, is not installed: the usual torch is taken. To have the other one, cancel and install the extension in the Extensions Manager.</source>
            <translation>Die Erweiterung PyTorch, die das zur Grafikkarte passende torch auswählt, ist nicht installiert: Es wird das übliche torch genommen. Für das andere brechen Sie ab und installieren die Erweiterung im Extensions Manager.</translation>
        </message>
        <message>
            <source>Install what PromptSeg needs</source>
            <translation>Installieren, was PromptSeg braucht</translation>
        </message>
        <message>
            <source>Installing {names}; the window may not answer for some minutes.</source>
            <translation>{names} wird installiert; das Fenster reagiert möglicherweise einige Minuten nicht.</translation>
        </message>
        <message>
            <source>not installed</source>
            <translation>nicht installiert</translation>
        </message>
        <message>
            <source>Computes on {computer}, {precision}</source>
            <translation>Rechnet mit {computer}, {precision}</translation>
        </message>
        <message>
            <source>Backbone {name} {identity}</source>
            <translation>Backbone {name} {identity}</translation>
        </message>
        <message>
            <source>Other programs come first (niceness {n}): to change it, start 3D Slicer with {setting}.</source>
            <translation>Andere Programme gehen vor (Niceness {n}): um es zu ändern, starten Sie 3D Slicer mit {setting}.</translation>
        </message>
    </context>
    <context>
        <name>desktop.problems</name>
        <message>
            <source>{n} segmented volumes of {name} are ticked, and {least} are needed</source>
            <translation>{n} segmentierte Volumina von {name} sind angekreuzt, {least} werden gebraucht</translation>
        </message>
        <message>
            <source>{name} is ticked with two segmentations</source>
            <translation>{name} ist mit zwei Segmentierungen angekreuzt</translation>
        </message>
        <message>
            <source>The values of {name} do not look like a CT's in HU: {why}</source>
            <translation>Die Werte von {name} sehen nicht wie die eines CT in HU aus: {why}</translation>
        </message>
        <message>
            <source>{name} does not say which volume it is of</source>
            <translation>{name} sagt nicht, zu welchem Volumen sie gehört</translation>
        </message>
        <message>
            <source>{name}, or the volume that it is of, was removed</source>
            <translation>{name} oder das Volumen dazu wurde entfernt</translation>
        </message>
        <message>
            <source>{name} does not lie on the voxels of {other}</source>
            <translation>{name} liegt nicht auf den Voxeln von {other}</translation>
        </message>
        <message>
            <source>{name} is empty in {other}</source>
            <translation>{name} ist in {other} leer</translation>
        </message>
        <message>
            <source>{name} is nowhere in {other}</source>
            <translation>{name} kommt in {other} nicht vor</translation>
        </message>
        <message>
            <source>{name} is in volumes of {n} subjects, and a labelled set needs {least}</source>
            <translation>{name} ist in Volumina von {n} Patienten, {least} werden gebraucht</translation>
        </message>
        <message>
            <source>{name} has no image</source>
            <translation>{name} hat kein Bild</translation>
        </message>
        <message>
            <source>{name} is a label map</source>
            <translation>{name} ist eine Label Map</translation>
        </message>
        <message>
            <source>{name} has several values per voxel</source>
            <translation>{name} hat mehrere Werte pro Voxel</translation>
        </message>
        <message>
            <source>{name} has no such segment</source>
            <translation>{name} hat kein solches Segment</translation>
        </message>
        <message>
            <source>{name} belongs to the volume {other}</source>
            <translation>{name} gehört zum Volumen {other}</translation>
        </message>
        <message>
            <source>{name} holds surfaces and no label map</source>
            <translation>{name} enthält Oberflächen und keine Label Map</translation>
        </message>
        <message>
            <source>{name} and {other} are moved by different transforms, and one of them is bent</source>
            <translation>{name} und {other} sind durch verschiedene Transformationen bewegt, und eine davon ist nicht linear</translation>
        </message>
        <message>
            <source>{name} was not drawn on the voxels of {other}</source>
            <translation>{name} wurde nicht auf den Voxeln von {other} gezeichnet</translation>
        </message>
        <message>
            <source>{name} was drawn in another frame of the sequence than the one in view</source>
            <translation>{name} wurde in einem anderen Einzelbild der Sequenz gezeichnet als dem gezeigten</translation>
        </message>
        <message>
            <source>The view is not along the slices of {name}</source>
            <translation>Die Ansicht liegt nicht entlang der Schichten von {name}</translation>
        </message>
        <message>
            <source>{name} is bent by a transform, so its slices are no planes</source>
            <translation>{name} ist durch eine Transformation gekrümmt, seine Schichten sind also keine Ebenen</translation>
        </message>
        <message>
            <source>Slice {index} is marked as absent, and something is drawn in it</source>
            <translation>Schicht {index} ist mit Fehlt markiert, und etwas ist darin gezeichnet</translation>
        </message>
        <message>
            <source>Slice {index} is marked as complete, and nothing is drawn in it</source>
            <translation>Schicht {index} ist als vollständig markiert, und nichts ist darin gezeichnet</translation>
        </message>
        <message>
            <source>The slice marks of {name} cannot be read</source>
            <translation>Die Schichtmarkierungen von {name} können nicht gelesen werden</translation>
        </message>
        <message>
            <source>The slices of {name} were marked on another volume, or the volume was changed</source>
            <translation>Die Schichten von {name} wurden auf einem anderen Volumen markiert, oder das Volumen wurde geändert</translation>
        </message>
        <message>
            <source>The segmentation was removed</source>
            <translation>Die Segmentierung wurde entfernt</translation>
        </message>
        <message>
            <source>{names}: changed since</source>
            <translation>{names}: seither geändert</translation>
        </message>
        <message>
            <source>No structure was asked for</source>
            <translation>Es wurde keine Struktur verlangt</translation>
        </message>
        <message>
            <source>There is nothing to export</source>
            <translation>Es gibt nichts zu exportieren</translation>
        </message>
        <message>
            <source>Only structures of your own can be deleted</source>
            <translation>Nur Ihre eigenen Strukturen können gelöscht werden</translation>
        </message>
        <message>
            <source>{path} cannot be deleted ({why})</source>
            <translation>{path} kann nicht gelöscht werden ({why})</translation>
        </message>
        <message>
            <source>{name} is one of the files that the structures are kept in</source>
            <translation>{name} ist eine der Dateien, in denen die Strukturen aufbewahrt sind</translation>
        </message>
        <message>
            <source>The folder {folder} cannot be made ({why})</source>
            <translation>Der Ordner {folder} kann nicht angelegt werden ({why})</translation>
        </message>
        <message>
            <source>The folder {folder} for your structures cannot be made ({why})</source>
            <translation>Der Ordner {folder} für Ihre Strukturen kann nicht angelegt werden ({why})</translation>
        </message>
        <message>
            <source>The volume or the segmentation was removed meanwhile</source>
            <translation>Das Volumen oder die Segmentierung wurde inzwischen entfernt</translation>
        </message>
        <message>
            <source>{name} was removed</source>
            <translation>{name} wurde entfernt</translation>
        </message>
        <message>
            <source>{name} and {other} have no structure in common</source>
            <translation>{name} und {other} haben keine gemeinsame Struktur</translation>
        </message>
        <message>
            <source>{name} has no segment</source>
            <translation>{name} hat kein Segment</translation>
        </message>
        <message>
            <source>{name} could not be downloaded</source>
            <translation>{name} konnte nicht heruntergeladen werden</translation>
        </message>
        <message>
            <source>{name} could not be downloaded ({why})</source>
            <translation>{name} konnte nicht heruntergeladen werden ({why})</translation>
        </message>
        <message>
            <source>The result of teaching {name} was removed</source>
            <translation>Das Ergebnis des Anlernens von {name} wurde entfernt</translation>
        </message>
        <message>
            <source>There is no segmentation to take back</source>
            <translation>Es gibt keine Segmentierung zurückzunehmen</translation>
        </message>
        <message>
            <source>The sequence was changed or removed meanwhile</source>
            <translation>Die Sequenz wurde inzwischen geändert oder entfernt</translation>
        </message>
        <message>
            <source>No slice shows the structure yet</source>
            <translation>Noch keine Schicht zeigt die Struktur</translation>
        </message>
        <message>
            <source>There is no volume to work on</source>
            <translation>Es gibt kein Volumen zum Bearbeiten</translation>
        </message>
        <message>
            <source>{name} could not be installed ({why})</source>
            <translation>{name} konnte nicht installiert werden ({why})</translation>
        </message>
        <message>
            <source>torch was not installed</source>
            <translation>torch wurde nicht installiert</translation>
        </message>
        <message>
            <source>{name} {version} is installed, and PromptSeg needs {least} or later</source>
            <translation>{name} {version} ist installiert, und PromptSeg braucht {least} oder neuer</translation>
        </message>
        <message>
            <source>The run of {name} is being worked on</source>
            <translation>An dem Lauf für {name} wird gerade gearbeitet</translation>
        </message>
        <message>
            <source>Another process is at the run in {folder}</source>
            <translation>Ein anderer Prozess arbeitet an dem Lauf in {folder}</translation>
        </message>
        <message>
            <source>Another 3D Slicer is writing to {folder}</source>
            <translation>Ein anderer 3D Slicer schreibt gerade in {folder}</translation>
        </message>
        <message>
            <source>The disk is full</source>
            <translation>Die Festplatte ist voll</translation>
        </message>
        <message>
            <source>A file or folder may not be used</source>
            <translation>Eine Datei oder ein Ordner darf nicht benutzt werden</translation>
        </message>
        <message>
            <source>This computer's memory is not enough</source>
            <translation>Der Arbeitsspeicher dieses Computers reicht nicht</translation>
        </message>
        <message>
            <source>The GPU's memory is not enough</source>
            <translation>Der Speicher der GPU reicht nicht</translation>
        </message>
        <message>
            <source>The computing process was ended by the system, most often because memory ran out</source>
            <translation>Der Rechenprozess wurde vom System beendet, meist weil der Arbeitsspeicher nicht reichte</translation>
        </message>
        <message>
            <source>{path} could not be written ({why})</source>
            <translation>{path} konnte nicht geschrieben werden ({why})</translation>
        </message>
        <message>
            <source>The format of {path} is not known from its name</source>
            <translation>Das Format von {path} ist am Namen nicht zu erkennen</translation>
        </message>
        <message>
            <source>{path} is a folder, not a file</source>
            <translation>{path} ist ein Ordner und keine Datei</translation>
        </message>
        <message>
            <source>{path} is not an ordinary file</source>
            <translation>{path} ist keine gewöhnliche Datei</translation>
        </message>
        <message>
            <source>{path} is there already and may not be changed</source>
            <translation>{path} gibt es schon und darf nicht geändert werden</translation>
        </message>
        <message>
            <source>{path} is there already</source>
            <translation>{path} gibt es schon</translation>
        </message>
        <message>
            <source>{path} could not be written: the disk is full</source>
            <translation>{path} konnte nicht geschrieben werden: die Festplatte ist voll</translation>
        </message>
        <message>
            <source>The folder {folder} may not be written to</source>
            <translation>In den Ordner {folder} darf nicht geschrieben werden</translation>
        </message>
        <message>
            <source>There is no folder {folder}</source>
            <translation>Den Ordner {folder} gibt es nicht</translation>
        </message>
        <message>
            <source>The name {path} is too long for this disk</source>
            <translation>Der Name {path} ist zu lang für diese Festplatte</translation>
        </message>
        <message>
            <source>Only what is kept beside structures of your own can be deleted</source>
            <translation>Nur was neben Ihren eigenen Strukturen liegt, kann gelöscht werden</translation>
        </message>
        <message>
            <source>There is no prompt {path} any more</source>
            <translation>Den Prompt {path} gibt es nicht mehr</translation>
        </message>
        <message>
            <source>There is no prompt for {names}</source>
            <translation>Für {names} gibt es keinen Prompt</translation>
        </message>
        <message>
            <source>{name} is no frame of a sequence</source>
            <translation>{name} ist kein Bild einer Sequenz</translation>
        </message>
        <message>
            <source>The Python package {package} is not installed</source>
            <translation>Das Python-Paket {package} ist nicht installiert</translation>
        </message>
        <message>
            <source>The library {library} is not there</source>
            <translation>Die Bibliothek {library} fehlt</translation>
        </message>
        <message>
            <source>A file name holds a zero byte, which no file's does</source>
            <translation>Ein Dateiname enthält ein Null-Byte, was es bei keiner Datei gibt</translation>
        </message>
        <message>
            <source>The disk quota is used up</source>
            <translation>Der zugeteilte Speicherplatz ist verbraucht</translation>
        </message>
        <message>
            <source>The disk may only be read</source>
            <translation>Die Festplatte darf nur gelesen werden</translation>
        </message>
        <message>
            <source>Too many files are open</source>
            <translation>Es sind zu viele Dateien geöffnet</translation>
        </message>
        <message>
            <source>Too many files are open on this computer</source>
            <translation>Auf diesem Computer sind zu viele Dateien geöffnet</translation>
        </message>
        <message>
            <source>No further process or thread may be started</source>
            <translation>Es darf kein weiterer Prozess oder Thread gestartet werden</translation>
        </message>
        <message>
            <source>A disk or network folder failed</source>
            <translation>Eine Festplatte oder ein Netzordner hat versagt</translation>
        </message>
        <message>
            <source>A network folder is gone</source>
            <translation>Ein Netzordner ist nicht mehr da</translation>
        </message>
        <message>
            <source>A file name is too long</source>
            <translation>Ein Dateiname ist zu lang</translation>
        </message>
        <message>
            <source>The loss is not a number any more</source>
            <translation>Der Loss ist keine Zahl mehr</translation>
        </message>
        <message>
            <source>No volume is left to learn {name} from</source>
            <translation>Es bleibt kein Volumen, um {name} zu lernen</translation>
        </message>
        <message>
            <source>The folder {folder} cannot be looked into ({why})</source>
            <translation>Der Ordner {folder} kann nicht eingesehen werden ({why})</translation>
        </message>
        <message>
            <source>{folder} holds a run with another {what}</source>
            <translation>{folder} enthält einen Lauf mit anderen Einstellungen ({what})</translation>
        </message>
        <message>
            <source>{path} is not a checkpoint that fits</source>
            <translation>{path} ist kein passender Zwischenstand</translation>
        </message>
        <message>
            <source>There is no backbone file {path}</source>
            <translation>Die Backbone-Datei {path} gibt es nicht</translation>
        </message>
        <message>
            <source>There is no backbone called {path}</source>
            <translation>Ein Backbone namens {path} gibt es nicht</translation>
        </message>
        <message>
            <source>{path} is not a PromptSeg backbone</source>
            <translation>{path} ist kein Backbone von PromptSeg</translation>
        </message>
        <message>
            <source>{path} is not an overview network</source>
            <translation>{path} ist kein Übersichtsnetz</translation>
        </message>
        <message>
            <source>{path} holds numbers of an unexpected type</source>
            <translation>{path} enthält Zahlen eines unerwarteten Typs</translation>
        </message>
        <message>
            <source>{path} is damaged: it holds weights that are not numbers</source>
            <translation>{path} ist beschädigt: Gewichte darin sind keine Zahlen</translation>
        </message>
        <message>
            <source>{path} does not fit this version of PromptSeg</source>
            <translation>{path} passt nicht zu dieser Version von PromptSeg</translation>
        </message>
        <message>
            <source>{path} cannot be read: {why}</source>
            <translation>{path} kann nicht gelesen werden: {why}</translation>
        </message>
        <message>
            <source>{path} is not a safetensors file</source>
            <translation>{path} ist keine safetensors-Datei</translation>
        </message>
        <message>
            <source>{path} is damaged or incomplete</source>
            <translation>{path} ist beschädigt oder unvollständig</translation>
        </message>
        <message>
            <source>This computer has no usable {device} device</source>
            <translation>Dieser Computer hat kein brauchbares Gerät {device}</translation>
        </message>
        <message>
            <source>{path} is damaged or was changed</source>
            <translation>{path} ist beschädigt oder wurde verändert</translation>
        </message>
        <message>
            <source>{path} is not a PromptSeg prompt set</source>
            <translation>{path} ist kein Prompt-Set von PromptSeg</translation>
        </message>
        <message>
            <source>{path} cannot be used: {why}</source>
            <translation>{path} kann nicht verwendet werden: {why}</translation>
        </message>
        <message>
            <source>It would be larger than a prompt set may be</source>
            <translation>Es wäre größer, als ein Prompt-Set sein darf</translation>
        </message>
        <message>
            <source>The prompt for {name} holds numbers that are too large to be kept</source>
            <translation>Der Prompt für {name} enthält Zahlen, die zu groß zum Speichern sind</translation>
        </message>
        <message>
            <source>{path} was not written: its card is not plain text</source>
            <translation>{path} wurde nicht geschrieben: die Karte ist kein einfacher Text</translation>
        </message>
        <message>
            <source>{path} was not written: {why}</source>
            <translation>{path} wurde nicht geschrieben: {why}</translation>
        </message>
        <message>
            <source>A prompt's {field} is {value}, not {wanted}</source>
            <translation>Bei einem Prompt ist {field} {value} und nicht {wanted}</translation>
        </message>
        <message>
            <source>A prompt's card is {value}, not an object</source>
            <translation>Die Karte eines Prompts ist {value} und kein Objekt</translation>
        </message>
        <message>
            <source>It holds {count} prompts, not 1 to {most}</source>
            <translation>Es enthält {count} Prompts und nicht 1 bis {most}</translation>
        </message>
        <message>
            <source>It has no name or no card</source>
            <translation>Es hat keinen Namen oder keine Karte</translation>
        </message>
        <message>
            <source>{path} has no such structure</source>
            <translation>{path} hat diese Struktur nicht</translation>
        </message>
        <message>
            <source>{path} has no prompt for {names}</source>
            <translation>{path} hat keinen Prompt für {names}</translation>
        </message>
        <message>
            <source>There is no prompt set {path}</source>
            <translation>Das Prompt-Set {path} gibt es nicht</translation>
        </message>
        <message>
            <source>The structure '{name}' is asked for twice, {where}</source>
            <translation>Die Struktur '{name}' wird zweimal verlangt, {where}</translation>
        </message>
        <message>
            <source>{names} was asked for twice</source>
            <translation>{names} wurde zweimal verlangt</translation>
        </message>
        <message>
            <source>There are two prompts for {name}</source>
            <translation>Für {name} gibt es zwei Prompts</translation>
        </message>
        <message>
            <source>The prompt for {name} was learned on backbone {id}, not on {other} ({its})</source>
            <translation>Der Prompt für {name} wurde auf dem Backbone {id} gelernt, nicht auf {other} ({its})</translation>
        </message>
        <message>
            <source>The prompt for {name} has tensors of the wrong shape</source>
            <translation>Der Prompt für {name} hat Tensoren der falschen Form</translation>
        </message>
        <message>
            <source>{path} and {other} were learned on different backbones</source>
            <translation>{path} und {other} wurden auf verschiedenen Backbones gelernt</translation>
        </message>
        <message>
            <source>{name} is too large to be registered</source>
            <translation>{name} ist zu groß, um registriert zu werden</translation>
        </message>
        <message>
            <source>{path} is not a PromptSeg memory file, or it is damaged</source>
            <translation>{path} ist keine Gedächtnisdatei von PromptSeg, oder sie ist beschädigt</translation>
        </message>
        <message>
            <source>There is no memory file {path}</source>
            <translation>Die Gedächtnisdatei {path} gibt es nicht</translation>
        </message>
        <message>
            <source>{path} may not be read</source>
            <translation>{path} darf nicht gelesen werden</translation>
        </message>
        <message>
            <source>There is nothing to remember: the mask is empty</source>
            <translation>Es gibt nichts zu merken: die Maske ist leer</translation>
        </message>
        <message>
            <source>PromptSeg's own {path} is missing</source>
            <translation>PromptSegs eigene Datei {path} fehlt</translation>
        </message>
        <message>
            <source>Temporary files cannot be written in {path} ({why})</source>
            <translation>Temporäre Dateien können in {path} nicht geschrieben werden ({why})</translation>
        </message>
        <message>
            <source>No folder can be made for temporary files in {path} ({why})</source>
            <translation>Für temporäre Dateien kann in {path} kein Ordner angelegt werden ({why})</translation>
        </message>
        <message>
            <source>The folder for temporary files {path} is gone or full ({why})</source>
            <translation>Der Ordner für temporäre Dateien {path} ist weg oder voll ({why})</translation>
        </message>
        <message>
            <source>The volume cannot be passed on: {path} is gone or full ({why})</source>
            <translation>Das Volumen kann nicht übergeben werden: {path} ist weg oder voll ({why})</translation>
        </message>
        <message>
            <source>The array {path} cannot be read</source>
            <translation>Das Array {path} kann nicht gelesen werden</translation>
        </message>
        <message>
            <source>This is a defect in PromptSeg ({kind}: {why})</source>
            <translation>Das ist ein Fehler in PromptSeg ({kind}: {why})</translation>
        </message>
        <message>
            <source>PromptSeg made a mistake ({why})</source>
            <translation>PromptSeg hat einen Fehler gemacht ({why})</translation>
        </message>
        <message>
            <source>What is drawn is too small to learn from</source>
            <translation>Was gezeichnet ist, ist zum Lernen zu klein</translation>
        </message>
        <message>
            <source>What is known of this round of teaching cannot be used: {why}</source>
            <translation>Was von dieser Runde des Anlernens bekannt ist, kann nicht verwendet werden: {why}</translation>
        </message>
        <message>
            <source>No drawn slice shows the structure</source>
            <translation>Keine gezeichnete Schicht zeigt die Struktur</translation>
        </message>
        <message>
            <source>The volumes were drawn in {before} and in {now} slices</source>
            <translation>Die Volumen wurden in Schichten verschiedener Richtung gezeichnet, {before} und {now}</translation>
        </message>
        <message>
            <source>{name} was learned in {before} slices, and these were drawn in {now} ones</source>
            <translation>{name} wurde in Schichten der Richtung {before} gelernt, und diese wurden in der Richtung {now} gezeichnet</translation>
        </message>
        <message>
            <source>{name} does not fit into this computer's memory: it takes {size} GB, and {free} GB are free</source>
            <translation>{name} passt nicht in den Arbeitsspeicher dieses Computers: es braucht {size} GB, und {free} GB sind frei</translation>
        </message>
        <message>
            <source>The volume's IJK to RAS matrix is singular</source>
            <translation>Die IJK-zu-RAS-Matrix des Volumens ist singulär</translation>
        </message>
        <message>
            <source>{name} is sheared: its axes are off the right angle by {angle} degrees, which PromptSeg does not support</source>
            <translation>{name} ist geschert: die Achsen weichen um {angle} Grad vom rechten Winkel ab, was PromptSeg nicht unterstützt</translation>
        </message>
        <message>
            <source>{name} is constant: every voxel is {value}</source>
            <translation>{name} ist konstant: jedes Voxel ist {value}</translation>
        </message>
        <message>
            <source>{name} holds values that are not numbers (NaN or infinite)</source>
            <translation>{name} enthält Werte, die keine Zahlen sind (NaN oder unendlich)</translation>
        </message>
        <message>
            <source>{name} has voxels of {spacing} mm and is {length} mm long, which no scanner's volume is</source>
            <translation>{name} hat Voxel von {spacing} mm und ist {length} mm lang, wie es bei keinem Scanner vorkommt</translation>
        </message>
        <message>
            <source>{name} lies {length} mm away from the origin, which no scanner's volume does</source>
            <translation>{name} liegt {length} mm vom Ursprung entfernt, wie es bei keinem Scanner vorkommt</translation>
        </message>
        <message>
            <source>load and tick more, or draw it in a few slices of one instead</source>
            <translation>laden Sie weitere und kreuzen Sie sie an, oder zeichnen Sie die Struktur in wenigen Schichten eines Volumens</translation>
        </message>
        <message>
            <source>untick one: a volume must not be learned from and held out</source>
            <translation>nehmen Sie eines der Kreuze weg: aus einem zurückgehaltenen Volumen darf nicht gelernt werden</translation>
        </message>
        <message>
            <source>untick it, or load it again so that its values are HU</source>
            <translation>nehmen Sie das Kreuz weg, oder laden Sie es neu, so dass seine Werte HU sind</translation>
        </message>
        <message>
            <source>choose both, volume and segmentation, in the Segment Editor once</source>
            <translation>wählen Sie Volumen und Segmentierung einmal zusammen im Segment Editor</translation>
        </message>
        <message>
            <source>choose others and try again</source>
            <translation>wählen Sie andere und versuchen Sie es noch einmal</translation>
        </message>
        <message>
            <source>untick it, or give it the volume's geometry (Segment Editor, the button beside the source volume)</source>
            <translation>nehmen Sie das Kreuz weg, oder geben Sie ihr die Geometrie des Volumens (Segment Editor, die Taste neben dem Quellvolumen)</translation>
        </message>
        <message>
            <source>untick that volume, or segment it there first</source>
            <translation>nehmen Sie das Kreuz bei diesem Volumen weg, oder segmentieren Sie die Struktur dort zuerst</translation>
        </message>
        <message>
            <source>leave that volume out, or segment it there first</source>
            <translation>lassen Sie dieses Volumen weg, oder segmentieren Sie die Struktur dort zuerst</translation>
        </message>
        <message>
            <source>add volumes of others, or draw it in a few slices of one instead</source>
            <translation>nehmen Sie Volumina anderer Patienten hinzu, oder zeichnen Sie die Struktur in wenigen Schichten eines Volumens</translation>
        </message>
        <message>
            <source>name a dataset.json in the layout of the Decathlon or of nnU-Net</source>
            <translation>wählen Sie den Ordner einer dataset.json im Aufbau des Decathlon oder von nnU-Net</translation>
        </message>
        <message>
            <source>choose a volume that is loaded</source>
            <translation>wählen Sie ein geladenes Volumen</translation>
        </message>
        <message>
            <source>choose the CT itself</source>
            <translation>wählen Sie das CT selbst</translation>
        </message>
        <message>
            <source>choose a volume with one value per voxel, such as a CT</source>
            <translation>wählen Sie ein Volumen mit einem Wert pro Voxel, etwa ein CT</translation>
        </message>
        <message>
            <source>choose a segment</source>
            <translation>wählen Sie ein Segment</translation>
        </message>
        <message>
            <source>choose another segmentation or a new one</source>
            <translation>wählen Sie eine andere Segmentierung oder eine neue</translation>
        </message>
        <message>
            <source>make binary labelmap its source representation in the module Segmentations</source>
            <translation>machen Sie im Modul Segmentations Binary labelmap zu ihrer Quelldarstellung</translation>
        </message>
        <message>
            <source>put both under the same transform in the module Transforms</source>
            <translation>legen Sie beide im Modul Transforms unter dieselbe Transformation</translation>
        </message>
        <message>
            <source>draw on the volume that it belongs to</source>
            <translation>zeichnen Sie auf dem Volumen, zu dem es gehört</translation>
        </message>
        <message>
            <source>go to that frame, or draw the structure in a new segment</source>
            <translation>gehen Sie zu jenem Einzelbild, oder zeichnen Sie die Struktur in einem neuen Segment</translation>
        </message>
        <message>
            <source>turn it to the volume plane (the view's menu, Rotate to volume plane)</source>
            <translation>drehen Sie sie in die Ebene des Volumens (Menü der Ansicht, Rotate to volume plane)</translation>
        </message>
        <message>
            <source>harden the transform or take the volume out of it, in the module Transforms</source>
            <translation>wenden Sie die Transformation fest an oder nehmen Sie das Volumen heraus, im Modul Transforms</translation>
        </message>
        <message>
            <source>erase it or mark the slice as complete</source>
            <translation>radieren Sie es aus oder markieren Sie die Schicht als vollständig</translation>
        </message>
        <message>
            <source>draw in it or mark it as absent</source>
            <translation>zeichnen Sie darin oder markieren Sie sie mit Fehlt</translation>
        </message>
        <message>
            <source>mark its slices again, or use a newer PromptSeg</source>
            <translation>markieren Sie seine Schichten neu, oder benutzen Sie ein neueres PromptSeg</translation>
        </message>
        <message>
            <source>choose the volume that they were drawn on, or clear the marks</source>
            <translation>wählen Sie das Volumen, auf dem sie gezeichnet wurden, oder löschen Sie die Markierungen</translation>
        </message>
        <message>
            <source>choose the segment that you draw</source>
            <translation>wählen Sie das Segment, in dem Sie zeichnen</translation>
        </message>
        <message>
            <source>choose another one</source>
            <translation>wählen Sie eine andere</translation>
        </message>
        <message>
            <source>delete the segments that are not wanted</source>
            <translation>löschen Sie die nicht gewünschten Segmente</translation>
        </message>
        <message>
            <source>tick at least one</source>
            <translation>haken Sie mindestens eine an</translation>
        </message>
        <message>
            <source>tick at least one structure</source>
            <translation>haken Sie mindestens eine Struktur an</translation>
        </message>
        <message>
            <source>choose one of My structures</source>
            <translation>wählen Sie eine unter Meine Strukturen</translation>
        </message>
        <message>
            <source>check its permissions</source>
            <translation>prüfen Sie die Zugriffsrechte</translation>
        </message>
        <message>
            <source>choose another</source>
            <translation>wählen Sie eine andere</translation>
        </message>
        <message>
            <source>choose another one in the self-check</source>
            <translation>wählen Sie im Selbsttest einen anderen</translation>
        </message>
        <message>
            <source>choose another one and try again</source>
            <translation>wählen Sie ein anderes und versuchen Sie es erneut</translation>
        </message>
        <message>
            <source>give the same structures the same names in both</source>
            <translation>geben Sie denselben Strukturen in beiden dieselben Namen</translation>
        </message>
        <message>
            <source>segment something first</source>
            <translation>segmentieren Sie zuerst etwas</translation>
        </message>
        <message>
            <source>check the connection to the internet and try again, or load a CT of your own</source>
            <translation>prüfen Sie die Verbindung zum Internet und versuchen Sie es erneut, oder laden Sie ein eigenes CT</translation>
        </message>
        <message>
            <source>teach it again</source>
            <translation>lernen Sie sie erneut an</translation>
        </message>
        <message>
            <source>choose it and try again</source>
            <translation>wählen Sie sie und versuchen Sie es erneut</translation>
        </message>
        <message>
            <source>draw it in at least one slice</source>
            <translation>zeichnen Sie sie in mindestens einer Schicht</translation>
        </message>
        <message>
            <source>restart 3D Slicer and install it before another module uses it</source>
            <translation>starten Sie 3D Slicer neu und installieren Sie es, bevor ein anderes Modul es benutzt</translation>
        </message>
        <message>
            <source>open the module PyTorch Util and install it there</source>
            <translation>öffnen Sie das Modul PyTorch Util und installieren Sie es dort</translation>
        </message>
        <message>
            <source>check the network, then try again</source>
            <translation>prüfen Sie das Netzwerk und versuchen Sie es erneut</translation>
        </message>
        <message>
            <source>stop it, in the other 3D Slicer perhaps, first</source>
            <translation>halten Sie ihn zuerst an, vielleicht in dem anderen 3D Slicer</translation>
        </message>
        <message>
            <source>wait until it has ended, or stop it there</source>
            <translation>warten Sie, bis er zu Ende ist, oder halten Sie ihn dort an</translation>
        </message>
        <message>
            <source>try again in a moment</source>
            <translation>versuchen Sie es gleich noch einmal</translation>
        </message>
        <message>
            <source>free some space</source>
            <translation>schaffen Sie Platz</translation>
        </message>
        <message>
            <source>close other programs or crop the image</source>
            <translation>schließen Sie andere Programme oder beschneiden Sie das Bild</translation>
        </message>
        <message>
            <source>choose another folder</source>
            <translation>wählen Sie einen anderen Ordner</translation>
        </message>
        <message>
            <source>use one of the endings {endings}</source>
            <translation>verwenden Sie eine der Endungen {endings}</translation>
        </message>
        <message>
            <source>give the name of a file in it</source>
            <translation>geben Sie den Namen einer Datei darin an</translation>
        </message>
        <message>
            <source>choose another name</source>
            <translation>wählen Sie einen anderen Namen</translation>
        </message>
        <message>
            <source>free some space or choose another folder</source>
            <translation>geben Sie Platz frei oder wählen Sie einen anderen Ordner</translation>
        </message>
        <message>
            <source>make it first or choose another folder</source>
            <translation>legen Sie ihn erst an oder wählen Sie einen anderen Ordner</translation>
        </message>
        <message>
            <source>choose a shorter one</source>
            <translation>wählen Sie einen kürzeren</translation>
        </message>
        <message>
            <source>choose one of these</source>
            <translation>wählen Sie eine davon</translation>
        </message>
        <message>
            <source>choose one that is listed</source>
            <translation>wählen Sie einen, der aufgeführt ist</translation>
        </message>
        <message>
            <source>choose of: {names}</source>
            <translation>wählen Sie aus: {names}</translation>
        </message>
        <message>
            <source>segment it as a volume</source>
            <translation>segmentieren Sie es als Volumen</translation>
        </message>
        <message>
            <source>run pip install {package}</source>
            <translation>rufen Sie pip install {package} auf</translation>
        </message>
        <message>
            <source>install it, or the Python package that brings it, again</source>
            <translation>installieren Sie sie oder das Python-Paket, das sie mitbringt, noch einmal</translation>
        </message>
        <message>
            <source>correct the name</source>
            <translation>berichtigen Sie den Namen</translation>
        </message>
        <message>
            <source>close what else uses it, or compute on the CPU (--device cpu)</source>
            <translation>schließen Sie, was sie sonst noch benutzt, oder rechnen Sie auf der CPU (--device cpu)</translation>
        </message>
        <message>
            <source>allow more (ulimit -n), or do fewer volumes at once</source>
            <translation>erlauben Sie mehr (ulimit -n) oder bearbeiten Sie weniger Volumen zugleich</translation>
        </message>
        <message>
            <source>close other programs</source>
            <translation>schließen Sie andere Programme</translation>
        </message>
        <message>
            <source>allow more (ulimit -u), or close other programs</source>
            <translation>erlauben Sie mehr (ulimit -u) oder schließen Sie andere Programme</translation>
        </message>
        <message>
            <source>copy the files to another disk</source>
            <translation>kopieren Sie die Dateien auf eine andere Festplatte</translation>
        </message>
        <message>
            <source>connect it again</source>
            <translation>verbinden Sie ihn wieder</translation>
        </message>
        <message>
            <source>remove {folder} and begin anew with another seed (--seed)</source>
            <translation>entfernen Sie {folder} und fangen Sie mit einem anderen Startwert neu an (--seed)</translation>
        </message>
        <message>
            <source>set them in 3D Slicer's module Volumes and save it again, or convert the original series again</source>
            <translation>setzen Sie sie im Modul Volumes von 3D Slicer und speichern Sie die Datei neu, oder wandeln Sie die ursprüngliche Serie noch einmal um</translation>
        </message>
        <message>
            <source>lower --validation, or add volumes</source>
            <translation>senken Sie --validation oder fügen Sie Volumen hinzu</translation>
        </message>
        <message>
            <source>check the name</source>
            <translation>prüfen Sie den Namen</translation>
        </message>
        <message>
            <source>the ones installed are: {names}</source>
            <translation>installiert sind: {names}</translation>
        </message>
        <message>
            <source>choose a file that promptseg pretrain wrote</source>
            <translation>wählen Sie eine Datei, die promptseg pretrain geschrieben hat</translation>
        </message>
        <message>
            <source>get the file again</source>
            <translation>besorgen Sie die Datei neu</translation>
        </message>
        <message>
            <source>get the file again, or update</source>
            <translation>besorgen Sie die Datei neu oder aktualisieren Sie PromptSeg</translation>
        </message>
        <message>
            <source>it may be damaged or something else by that name</source>
            <translation>sie ist vielleicht beschädigt oder etwas anderes dieses Namens</translation>
        </message>
        <message>
            <source>choose --device cpu or --device auto</source>
            <translation>wählen Sie --device cpu oder --device auto</translation>
        </message>
        <message>
            <source>choose a .promptset file that PromptSeg wrote</source>
            <translation>wählen Sie eine .promptset-Datei, die PromptSeg geschrieben hat</translation>
        </message>
        <message>
            <source>put fewer structures into one file</source>
            <translation>nehmen Sie weniger Strukturen in eine Datei</translation>
        </message>
        <message>
            <source>correct it, or get the file again</source>
            <translation>berichtigen Sie es oder besorgen Sie die Datei neu</translation>
        </message>
        <message>
            <source>it has: {names}</source>
            <translation>vorhanden sind: {names}</translation>
        </message>
        <message>
            <source>name a .promptset file or one of: {names}</source>
            <translation>nennen Sie eine .promptset-Datei oder eines von: {names}</translation>
        </message>
        <message>
            <source>ask for it once</source>
            <translation>verlangen Sie sie einmal</translation>
        </message>
        <message>
            <source>name each structure once</source>
            <translation>nennen Sie jede Struktur einmal</translation>
        </message>
        <message>
            <source>keep one of them</source>
            <translation>behalten Sie einen davon</translation>
        </message>
        <message>
            <source>use the backbone that it names, or teach the structure again</source>
            <translation>verwenden Sie das Backbone, das er nennt, oder lernen Sie die Struktur neu an</translation>
        </message>
        <message>
            <source>merge sets of one backbone</source>
            <translation>führen Sie Sets eines Backbones zusammen</translation>
        </message>
        <message>
            <source>crop it to the region of interest</source>
            <translation>schneiden Sie es auf den interessierenden Bereich zu</translation>
        </message>
        <message>
            <source>delete it, and teach the structure again</source>
            <translation>löschen Sie sie und lernen Sie die Struktur neu an</translation>
        </message>
        <message>
            <source>choose the {ending} file beside a prompt</source>
            <translation>wählen Sie die {ending}-Datei neben einem Prompt</translation>
        </message>
        <message>
            <source>draw the structure first</source>
            <translation>zeichnen Sie erst die Struktur</translation>
        </message>
        <message>
            <source>the installation is incomplete: install PromptSeg again</source>
            <translation>die Installation ist unvollständig: installieren Sie PromptSeg noch einmal</translation>
        </message>
        <message>
            <source>free some space there, or name another folder in the environment variable TMPDIR</source>
            <translation>geben Sie dort Platz frei oder nennen Sie in der Umgebungsvariablen TMPDIR einen anderen Ordner</translation>
        </message>
        <message>
            <source>try again</source>
            <translation>versuchen Sie es noch einmal</translation>
        </message>
        <message>
            <source>report it with the log</source>
            <translation>melden Sie ihn mit dem Protokoll</translation>
        </message>
        <message>
            <source>draw the structure in more slices, or larger</source>
            <translation>zeichnen Sie die Struktur in mehr Schichten oder größer</translation>
        </message>
        <message>
            <source>teach the structure again</source>
            <translation>lernen Sie die Struktur neu an</translation>
        </message>
        <message>
            <source>draw in one plane in all of them</source>
            <translation>zeichnen Sie in allen in derselben Richtung</translation>
        </message>
        <message>
            <source>draw in the same plane, or teach it anew without going on from it</source>
            <translation>zeichnen Sie in derselben Richtung, oder lernen Sie sie neu an, ohne davon auszugehen</translation>
        </message>
        <message>
            <source>crop it or close other programs</source>
            <translation>schneiden Sie es zu oder schließen Sie andere Programme</translation>
        </message>
        <message>
            <source>check the spacing and orientation of the volume</source>
            <translation>prüfen Sie Abstand und Ausrichtung des Volumens</translation>
        </message>
        <message>
            <source>resample it to a rectangular grid, in 3D Slicer with the module Resample Scalar/Vector/DWI Volume</source>
            <translation>rechnen Sie es auf ein rechtwinkliges Gitter um, in 3D Slicer mit dem Modul Resample Scalar/Vector/DWI Volume</translation>
        </message>
        <message>
            <source>choose a volume with an image in it</source>
            <translation>wählen Sie ein Volumen, das ein Bild enthält</translation>
        </message>
        <message>
            <source>set them to -1024, which is air, and save it again</source>
            <translation>setzen Sie sie auf -1024, das ist Luft, und speichern Sie es noch einmal</translation>
        </message>
        <message>
            <source>correct its spacing, which is in mm, for instance in 3D Slicer's module Volumes</source>
            <translation>berichtigen Sie den Abstand, der in mm ist, zum Beispiel im Modul Volumes von 3D Slicer</translation>
        </message>
        <message>
            <source>correct its origin, for instance in 3D Slicer's module Volumes</source>
            <translation>berichtigen Sie den Ursprung, zum Beispiel im Modul Volumes von 3D Slicer</translation>
        </message>
    </context>
    <context>
        <name>desktop.sample_data</name>
        <message>
            <source>Asking for the sample</source>
            <translation>Das Beispiel-CT wird angefragt</translation>
        </message>
        <message>
            <source>Downloading the sample: {done:.0f} of {all:.0f} MB</source>
            <translation>Das Beispiel-CT wird geladen: {done:.0f} von {all:.0f} MB</translation>
        </message>
    </context>
    <context>
        <name>desktop.sentences</name>
        <message>
            <source>Loading the backbone</source>
            <translation>Netz wird geladen</translation>
        </message>
        <message>
            <source>Reading {name}</source>
            <translation>{name} wird gelesen</translation>
        </message>
        <message>
            <source>slice {n} of {count}</source>
            <translation>Schicht {n} von {count}</translation>
        </message>
        <message>
            <source>Resampling oblique slices to canonical axes</source>
            <translation>Schräge Schichten werden auf die Hauptachsen umgerechnet</translation>
        </message>
        <message>
            <source>Writing masks to the volume's grid</source>
            <translation>Masken werden auf das Gitter des Volumens geschrieben</translation>
        </message>
        <message>
            <source>Exporting {name}</source>
            <translation>{name} wird exportiert</translation>
        </message>
        <message>
            <source>Registering with another CT</source>
            <translation>Registrierung mit einem anderen CT</translation>
        </message>
        <message>
            <source>First mask: Dice {dice} on the drawn slices</source>
            <translation>Erste Maske: Dice {dice} auf den gezeichneten Schichten</translation>
        </message>
        <message>
            <source>Checking without slice {index}</source>
            <translation>Prüfung ohne Schicht {index}</translation>
        </message>
        <message>
            <source>Step {step} of {steps}</source>
            <translation>Schritt {step} von {steps}</translation>
        </message>
        <message>
            <source>Stopped; step {step} of {steps} is kept</source>
            <translation>Beendet; Schritt {step} von {steps} wird behalten</translation>
        </message>
        <message>
            <source>Done</source>
            <translation>Fertig</translation>
        </message>
        <message>
            <source>step {step} of {steps}</source>
            <translation>Schritt {step} von {steps}</translation>
        </message>
        <message>
            <source>step {step} of {steps}, loss {loss}</source>
            <translation>Schritt {step} von {steps}, Loss {loss}</translation>
        </message>
        <message>
            <source>step {step} of {steps}, loss {loss}, best Dice {dice} (step {at})</source>
            <translation>Schritt {step} von {steps}, Loss {loss}, bester Dice {dice} (Schritt {at})</translation>
        </message>
        <message>
            <source>step {step} of {steps}: Dice {dice} on {n} held-out volumes, best {best}</source>
            <translation>Schritt {step} von {steps}: Dice {dice} in {n} zurückgehaltenen Volumen, bester {best}</translation>
        </message>
        <message>
            <source>Looking at {name} ({n} of {count})</source>
            <translation>{name} wird angesehen ({n} von {count})</translation>
        </message>
        <message>
            <source>Last look at {name} ({n} of {count})</source>
            <translation>{name} wird zum letzten Mal angesehen ({n} von {count})</translation>
        </message>
        <message>
            <source>Looking at {name}</source>
            <translation>{name} wird angesehen</translation>
        </message>
        <message>
            <source>Looked at all structures</source>
            <translation>Alle Strukturen angesehen</translation>
        </message>
        <message>
            <source>differs by {share} from the adjacent slices</source>
            <translation>unterscheidet sich um {share} von den Nachbarschichten</translation>
        </message>
        <message>
            <source>about {area} cm² may be wrong</source>
            <translation>etwa {area} cm² sind möglicherweise falsch</translation>
        </message>
        <message>
            <source>differs by {share} from the adjacent slices, about {area} cm² may be wrong</source>
            <translation>unterscheidet sich um {share} von den Nachbarschichten, etwa {area} cm² sind möglicherweise falsch</translation>
        </message>
        <message>
            <source>Dice {dice}</source>
            <translation>Dice {dice}</translation>
        </message>
        <message>
            <source>Nothing was found.</source>
            <translation>Nichts wurde gefunden.</translation>
        </message>
        <message>
            <source>It is in {n} separate parts.</source>
            <translation>Die Struktur besteht aus {n} getrennten Teilen.</translation>
        </message>
        <message>
            <source>There is a speck beside it.</source>
            <translation>Daneben liegt ein Fleckchen.</translation>
        </message>
        <message>
            <source>There are {n} specks beside it.</source>
            <translation>Daneben liegen {n} Fleckchen.</translation>
        </message>
        <message>
            <source>It touches the border of the image.</source>
            <translation>Die Struktur berührt den Bildrand.</translation>
        </message>
        <message>
            <source>It is missing in 1 slice between others that show it.</source>
            <translation>Die Struktur fehlt in 1 Schicht zwischen anderen, die sie zeigen.</translation>
        </message>
        <message>
            <source>It is missing in {n} slices between others that show it.</source>
            <translation>Die Struktur fehlt in {n} Schichten zwischen anderen, die sie zeigen.</translation>
        </message>
        <message>
            <source>It changes abruptly at slice {index}.</source>
            <translation>Die Struktur ändert sich sprunghaft bei Schicht {index}.</translation>
        </message>
        <message>
            <source>It changes abruptly at slices {listed}.</source>
            <translation>Die Struktur ändert sich sprunghaft bei den Schichten {listed}.</translation>
        </message>
        <message>
            <source>It changes abruptly at slices {listed} and others.</source>
            <translation>Die Struktur ändert sich sprunghaft bei den Schichten {listed} und anderen.</translation>
        </message>
        <message>
            <source>Beyond slice {index}, where the drawing ends, the network still finds the structure.</source>
            <translation>Jenseits von Schicht {index}, wo die Zeichnung endet, findet das Netz die Struktur noch.</translation>
        </message>
        <message>
            <source>Beyond slice {index}, where the drawing ends, the structure seems to go on: draw it here, or mark this slice as without it.</source>
            <translation>Jenseits von Schicht {index}, wo die Zeichnung endet, scheint die Struktur weiterzugehen: Zeichnen Sie sie hier, oder markieren Sie, dass sie in dieser Schicht fehlt.</translation>
        </message>
        <message>
            <source>Here the network is most uncertain.</source>
            <translation>Hier ist das Netz am unsichersten.</translation>
        </message>
        <message>
            <source>Between slices {below} and {above} the network is uncertain or disagrees with the contours most.</source>
            <translation>Zwischen den Schichten {below} und {above} ist das Netz am unsichersten oder widerspricht den Konturen am meisten.</translation>
        </message>
        <message>
            <source>Between slices {below} and {above} is the widest gap, and the contour changes there.</source>
            <translation>Zwischen den Schichten {below} und {above} ist die größte Lücke, und die Kontur ändert sich dort.</translation>
        </message>
        <message>
            <source>Between slices {below} and {above} the contour changes most.</source>
            <translation>Zwischen den Schichten {below} und {above} ändert sich die Kontur am meisten.</translation>
        </message>
        <message>
            <source>Between slices {below} and {above} the contour changes and the network is uncertain.</source>
            <translation>Zwischen den Schichten {below} und {above} ändert sich die Kontur, und das Netz ist unsicher.</translation>
        </message>
        <message>
            <source>Here, and in the slices around, the result is least certain.</source>
            <translation>Hier und in den Schichten ringsum ist das Ergebnis am unsichersten.</translation>
        </message>
        <message>
            <source>Slice {index} is not what the other drawn slices let expect (Dice {dice}, the middle of all {middle}): check whether they contradict each other.</source>
            <translation>Schicht {index} ist nicht, was die anderen gezeichneten Schichten erwarten lassen (Dice {dice}, Mitte aller {middle}): Prüfen Sie, ob sie einander widersprechen.</translation>
        </message>
        <message>
            <source>Only one slice shows the structure: how good the result is, cannot be estimated.</source>
            <translation>Nur eine Schicht zeigt die Struktur: Wie gut das Ergebnis ist, lässt sich nicht schätzen.</translation>
        </message>
        <message>
            <source>The structure seems to go on beyond slice {index}, where the drawing ends: it is not small, and little is looked for beyond. Draw the first and the last slice that show it, or mark a slice without it as absent.</source>
            <translation>Die Struktur scheint über Schicht {index} hinauszugehen, wo die Zeichnung endet: Sie ist dort nicht klein, und jenseits wird wenig gesucht. Zeichnen Sie die erste und die letzte Schicht, die sie zeigen, oder markieren Sie eine Schicht ohne sie mit Fehlt.</translation>
        </message>
        <message>
            <source>The structure seems to go on beyond slices {first} and {last}, where the drawing ends: they are not small, and little is looked for beyond. Draw the first and the last slice that show it, or mark a slice without it as absent.</source>
            <translation>Die Struktur scheint über die Schichten {first} und {last} hinauszugehen, wo die Zeichnung endet: Sie ist dort nicht klein, und jenseits wird wenig gesucht. Zeichnen Sie die erste und die letzte Schicht, die sie zeigen, oder markieren Sie eine Schicht ohne sie mit Fehlt.</translation>
        </message>
        <message>
            <source>The contour in slice {index} touches the border of the image: the structure may go on.</source>
            <translation>Die Kontur in Schicht {index} berührt den Bildrand: Die Struktur geht vielleicht weiter.</translation>
        </message>
        <message>
            <source>Slice {index} shows separate parts where the other slices have one: check that it is one structure.</source>
            <translation>Schicht {index} zeigt getrennte Teile, wo die anderen Schichten einen haben: Prüfen Sie, ob es eine Struktur ist.</translation>
        </message>
        <message>
            <source>Slices {listed} show separate parts where the other slices have one: check that it is one structure.</source>
            <translation>Die Schichten {listed} zeigen getrennte Teile, wo die anderen Schichten einen haben: Prüfen Sie, ob es eine Struktur ist.</translation>
        </message>
        <message>
            <source>Slice {index} is marked as without the structure, between slices that show it: it will stay empty.</source>
            <translation>Schicht {index} ist als ohne Struktur markiert, zwischen Schichten, die sie zeigen: Sie bleibt leer.</translation>
        </message>
        <message>
            <source>Learned from {slices} of {patients}, too.</source>
            <translation>Auch von {slices} {patients} gelernt.</translation>
        </message>
        <message>
            <source>PromptSeg knows this as {name}: that prompt found the drawn slices with a Dice of {dice}, and learning began there.</source>
            <translation>PromptSeg kennt dies als {name}: Dieser Prompt fand die gezeichneten Schichten mit einem Dice von {dice}, und das Lernen begann dort.</translation>
        </message>
        <message>
            <source>one slice</source>
            <translation>einer Schicht</translation>
        </message>
        <message>
            <source>{n} slices</source>
            <translation>{n} Schichten</translation>
        </message>
        <message>
            <source>an earlier patient</source>
            <translation>eines früheren Patienten</translation>
        </message>
        <message>
            <source>{n} earlier patients</source>
            <translation>von {n} früheren Patienten</translation>
        </message>
        <message>
            <source>The prompt before was learned in {before} slices: taught anew in {now} ones.</source>
            <translation>Der bisherige Prompt wurde in anderen Schichten gelernt ({before}): neu angelernt ({now}).</translation>
        </message>
        <message>
            <source>{name} was learned in {before} slices, and these were drawn in {now} ones: what is drawn stays as it is, and does not help to find the slices between.</source>
            <translation>{name} wurde in anderen Schichten gelernt ({before}) als diese gezeichnet sind ({now}): Das Gezeichnete bleibt, hilft aber nicht, die Schichten dazwischen zu finden.</translation>
        </message>
        <message>
            <source>axial</source>
            <translation>axial</translation>
        </message>
        <message>
            <source>coronal</source>
            <translation>koronal</translation>
        </message>
        <message>
            <source>sagittal</source>
            <translation>sagittal</translation>
        </message>
        <message>
            <source>Nothing is kept for the next patient: {why}</source>
            <translation>Für den nächsten Patienten wird nichts aufbewahrt: {why}</translation>
        </message>
        <message>
            <source>{name} was not found: registered with where it was taught, {why}.</source>
            <translation>{name} wurde nicht gefunden. Nach Registrierung mit dem CT, an dem angelernt wurde: {why}.</translation>
        </message>
        <message>
            <source>{name} could not be carried over from {source}: {why}.</source>
            <translation>{name} konnte nicht {source} übertragen werden: {why}.</translation>
        </message>
        <message>
            <source>a reference CT</source>
            <translation>von einem Referenz-CT</translation>
        </message>
        <message>
            <source>the patient it was taught in</source>
            <translation>von dem Patienten, an dem angelernt wurde,</translation>
        </message>
        <message>
            <source>no patient is remembered</source>
            <translation>kein Patient ist gemerkt</translation>
        </message>
        <message>
            <source>{name} is a first guess: a Dice of about {dice} is to be expected.</source>
            <translation>{name} ist eine erste Schätzung: Ein Dice von etwa {dice} ist zu erwarten.</translation>
        </message>
        <message>
            <source>the two CTs do not fit, they may show different parts of the body</source>
            <translation>die beiden CTs passen nicht zueinander, sie zeigen vielleicht verschiedene Körperteile</translation>
        </message>
        <message>
            <source>the field of view does not show that part of the body</source>
            <translation>das Sichtfeld zeigt diesen Körperteil nicht</translation>
        </message>
        <message>
            <source>the registration failed, forward and backward it does not agree with itself</source>
            <translation>die Registrierung ist misslungen, vorwärts und rückwärts stimmt sie nicht mit sich überein</translation>
        </message>
        <message>
            <source>nothing is known of it</source>
            <translation>nichts ist darüber bekannt</translation>
        </message>
        <message>
            <source>{name} is of the modality {modality}, not CT; results are likely to be wrong.</source>
            <translation>{name} hat die Modalität {modality}, nicht CT; Ergebnisse sind wahrscheinlich falsch.</translation>
        </message>
        <message>
            <source>The values of {name} do not look like a CT's in HU: {why}; results are likely to be wrong.</source>
            <translation>Die Werte von {name} sehen nicht nach einem CT in HU aus: {why}; Ergebnisse sind wahrscheinlich falsch.</translation>
        </message>
        <message>
            <source>most of them are outside of {low} to {high}</source>
            <translation>die meisten liegen außerhalb von {low} bis {high}</translation>
        </message>
        <message>
            <source>they span only {low} to {high}</source>
            <translation>sie reichen nur von {low} bis {high}</translation>
        </message>
        <message>
            <source>hardly any is below 0, where air and fat are ({low} to {high})</source>
            <translation>kaum einer liegt unter 0, wo Luft und Fett sind ({low} bis {high})</translation>
        </message>
        <message>
            <source>hardly any is above {value}, where tissue is</source>
            <translation>kaum einer liegt über {value}, wo Gewebe ist</translation>
        </message>
        <message>
            <source>{folder} cannot be read ({why}).</source>
            <translation>{folder} kann nicht gelesen werden ({why}).</translation>
        </message>
        <message>
            <source>The Python package {package} is not installed.</source>
            <translation>Das Python-Paket {package} ist nicht installiert.</translation>
        </message>
        <message>
            <source>The backbone was pre-trained on {n} of the {count} held-out subjects: for others, expect less than the Dice here.</source>
            <translation>Mit {n} der {count} zurückgehaltenen Patienten wurde das Netz vortrainiert: bei anderen ist weniger zu erwarten als der Dice hier.</translation>
        </message>
        <message>
            <source>The run ended before the last look: the Dice is that of some slices of some subjects.</source>
            <translation>Der Lauf endete vor der letzten Auswertung: der Dice gilt für einige Schichten einiger Patienten.</translation>
        </message>
        <message>
            <source>No subject was held out: how good the prompt is in others is not known.</source>
            <translation>Es wurde niemand zurückgehalten: wie gut der Prompt bei anderen ist, ist nicht bekannt.</translation>
        </message>
        <message>
            <source>With fewer than three held-out subjects the Dice says little of the next one.</source>
            <translation>Bei weniger als drei zurückgehaltenen Patienten sagt der Dice wenig über den nächsten.</translation>
        </message>
        <message>
            <source>close what else uses it, or crop the volume</source>
            <translation>schließen Sie, was sie sonst noch benutzt, oder schneiden Sie das Volumen zu</translation>
        </message>
        <message>
            <source>let PromptSeg choose the device</source>
            <translation>lassen Sie PromptSeg das Gerät wählen</translation>
        </message>
        <message>
            <source>add volumes</source>
            <translation>fügen Sie Volumen hinzu</translation>
        </message>
        <message>
            <source>check the volumes, and begin anew</source>
            <translation>prüfen Sie die Volumen, und fangen Sie neu an</translation>
        </message>
        <message>
            <source>{names} and {n} more</source>
            <translation>{names} und {n} weitere</translation>
        </message>
    </context>
    <context>
        <name>desktop.structure_names</name>
        <message>
            <source>spleen</source>
            <translation>Milz</translation>
        </message>
        <message>
            <source>gallbladder</source>
            <translation>Gallenblase</translation>
        </message>
        <message>
            <source>esophagus</source>
            <translation>Ösophagus</translation>
        </message>
        <message>
            <source>liver</source>
            <translation>Leber</translation>
        </message>
        <message>
            <source>stomach</source>
            <translation>Magen</translation>
        </message>
        <message>
            <source>aorta</source>
            <translation>Aorta</translation>
        </message>
        <message>
            <source>inferior vena cava</source>
            <translation>Vena cava inferior</translation>
        </message>
        <message>
            <source>portal and splenic veins</source>
            <translation>Pfortader und Milzvene</translation>
        </message>
        <message>
            <source>pancreas</source>
            <translation>Pankreas</translation>
        </message>
        <message>
            <source>brainstem</source>
            <translation>Hirnstamm</translation>
        </message>
        <message>
            <source>spinal cord</source>
            <translation>Rückenmark</translation>
        </message>
        <message>
            <source>larynx</source>
            <translation>Larynx</translation>
        </message>
        <message>
            <source>mandible</source>
            <translation>Unterkiefer</translation>
        </message>
        <message>
            <source>heart</source>
            <translation>Herz</translation>
        </message>
        <message>
            <source>left ventricle</source>
            <translation>linker Ventrikel</translation>
        </message>
        <message>
            <source>right ventricle</source>
            <translation>rechter Ventrikel</translation>
        </message>
        <message>
            <source>left atrium</source>
            <translation>linker Vorhof</translation>
        </message>
        <message>
            <source>right atrium</source>
            <translation>rechter Vorhof</translation>
        </message>
        <message>
            <source>pericardium</source>
            <translation>Perikard</translation>
        </message>
        <message>
            <source>superior vena cava</source>
            <translation>Vena cava superior</translation>
        </message>
        <message>
            <source>pulmonary artery</source>
            <translation>Pulmonalarterie</translation>
        </message>
        <message>
            <source>pulmonary vein</source>
            <translation>Pulmonalvene</translation>
        </message>
        <message>
            <source>trachea</source>
            <translation>Trachea</translation>
        </message>
        <message>
            <source>bronchus</source>
            <translation>Bronchus</translation>
        </message>
        <message>
            <source>middle lobe of right lung</source>
            <translation>Mittellappen der rechten Lunge</translation>
        </message>
        <message>
            <source>thyroid gland</source>
            <translation>Schilddrüse</translation>
        </message>
        <message>
            <source>thymus</source>
            <translation>Thymus</translation>
        </message>
        <message>
            <source>pharynx</source>
            <translation>Pharynx</translation>
        </message>
        <message>
            <source>tongue</source>
            <translation>Zunge</translation>
        </message>
        <message>
            <source>brain</source>
            <translation>Gehirn</translation>
        </message>
        <message>
            <source>skull</source>
            <translation>Schädel</translation>
        </message>
        <message>
            <source>pituitary gland</source>
            <translation>Hypophyse</translation>
        </message>
        <message>
            <source>optic chiasm</source>
            <translation>Chiasma opticum</translation>
        </message>
        <message>
            <source>duodenum</source>
            <translation>Duodenum</translation>
        </message>
        <message>
            <source>small bowel</source>
            <translation>Dünndarm</translation>
        </message>
        <message>
            <source>colon</source>
            <translation>Kolon</translation>
        </message>
        <message>
            <source>rectum</source>
            <translation>Rektum</translation>
        </message>
        <message>
            <source>urinary bladder</source>
            <translation>Harnblase</translation>
        </message>
        <message>
            <source>prostate</source>
            <translation>Prostata</translation>
        </message>
        <message>
            <source>uterus</source>
            <translation>Uterus</translation>
        </message>
        <message>
            <source>spine</source>
            <translation>Wirbelsäule</translation>
        </message>
        <message>
            <source>cervical spine</source>
            <translation>Halswirbelsäule</translation>
        </message>
        <message>
            <source>thoracic spine</source>
            <translation>Brustwirbelsäule</translation>
        </message>
        <message>
            <source>lumbar spine</source>
            <translation>Lendenwirbelsäule</translation>
        </message>
        <message>
            <source>vertebra</source>
            <translation>Wirbel</translation>
        </message>
        <message>
            <source>sacrum</source>
            <translation>Kreuzbein</translation>
        </message>
        <message>
            <source>ribs</source>
            <translation>Rippen</translation>
        </message>
        <message>
            <source>sternum</source>
            <translation>Sternum</translation>
        </message>
        <message>
            <source>right kidney</source>
            <translation>rechte Niere</translation>
        </message>
        <message>
            <source>right adrenal gland</source>
            <translation>rechte Nebenniere</translation>
        </message>
        <message>
            <source>right parotid gland</source>
            <translation>rechte Parotis</translation>
        </message>
        <message>
            <source>right submandibular gland</source>
            <translation>rechte Submandibularisdrüse</translation>
        </message>
        <message>
            <source>right lung</source>
            <translation>rechte Lunge</translation>
        </message>
        <message>
            <source>right eyeball</source>
            <translation>rechter Augapfel</translation>
        </message>
        <message>
            <source>right common carotid artery</source>
            <translation>rechte A. carotis communis</translation>
        </message>
        <message>
            <source>right common iliac artery</source>
            <translation>rechte A. iliaca communis</translation>
        </message>
        <message>
            <source>right common iliac vein</source>
            <translation>rechte V. iliaca communis</translation>
        </message>
        <message>
            <source>right ureter</source>
            <translation>rechter Ureter</translation>
        </message>
        <message>
            <source>right seminal vesicle</source>
            <translation>rechte Samenblase</translation>
        </message>
        <message>
            <source>right ovary</source>
            <translation>rechtes Ovar</translation>
        </message>
        <message>
            <source>right femur</source>
            <translation>rechter Femur</translation>
        </message>
        <message>
            <source>right humerus</source>
            <translation>rechter Humerus</translation>
        </message>
        <message>
            <source>right scapula</source>
            <translation>rechte Skapula</translation>
        </message>
        <message>
            <source>right clavicle</source>
            <translation>rechte Klavikula</translation>
        </message>
        <message>
            <source>right ilium</source>
            <translation>rechtes Darmbein</translation>
        </message>
        <message>
            <source>upper lobe of right lung</source>
            <translation>Oberlappen der rechten Lunge</translation>
        </message>
        <message>
            <source>lower lobe of right lung</source>
            <translation>Unterlappen der rechten Lunge</translation>
        </message>
        <message>
            <source>left kidney</source>
            <translation>linke Niere</translation>
        </message>
        <message>
            <source>left adrenal gland</source>
            <translation>linke Nebenniere</translation>
        </message>
        <message>
            <source>left parotid gland</source>
            <translation>linke Parotis</translation>
        </message>
        <message>
            <source>left submandibular gland</source>
            <translation>linke Submandibularisdrüse</translation>
        </message>
        <message>
            <source>left lung</source>
            <translation>linke Lunge</translation>
        </message>
        <message>
            <source>left eyeball</source>
            <translation>linker Augapfel</translation>
        </message>
        <message>
            <source>left common carotid artery</source>
            <translation>linke A. carotis communis</translation>
        </message>
        <message>
            <source>left common iliac artery</source>
            <translation>linke A. iliaca communis</translation>
        </message>
        <message>
            <source>left common iliac vein</source>
            <translation>linke V. iliaca communis</translation>
        </message>
        <message>
            <source>left ureter</source>
            <translation>linker Ureter</translation>
        </message>
        <message>
            <source>left seminal vesicle</source>
            <translation>linke Samenblase</translation>
        </message>
        <message>
            <source>left ovary</source>
            <translation>linkes Ovar</translation>
        </message>
        <message>
            <source>left femur</source>
            <translation>linker Femur</translation>
        </message>
        <message>
            <source>left humerus</source>
            <translation>linker Humerus</translation>
        </message>
        <message>
            <source>left scapula</source>
            <translation>linke Skapula</translation>
        </message>
        <message>
            <source>left clavicle</source>
            <translation>linke Klavikula</translation>
        </message>
        <message>
            <source>left ilium</source>
            <translation>linkes Darmbein</translation>
        </message>
        <message>
            <source>upper lobe of left lung</source>
            <translation>Oberlappen der linken Lunge</translation>
        </message>
        <message>
            <source>lower lobe of left lung</source>
            <translation>Unterlappen der linken Lunge</translation>
        </message>
        <message>
            <source>tissue</source>
            <translation>Gewebe</translation>
        </message>
        <message>
            <source>bone</source>
            <translation>Knochen</translation>
        </message>
        <message>
            <source>muscle</source>
            <translation>Muskel</translation>
        </message>
        <message>
            <source>body fat</source>
            <translation>Körperfett</translation>
        </message>
        <message>
            <source>skin</source>
            <translation>Haut</translation>
        </message>
        <message>
            <source>, taught</source>
            <translation>, angelernt</translation>
        </message>
        <message>
            <source>, found</source>
            <translation>, gefunden</translation>
        </message>
    </context>
    <context>
        <name>panel.check_page</name>
        <message>
            <source>Report</source>
            <translation>Bericht</translation>
        </message>
        <message>
            <source>Install what is missing</source>
            <translation>Fehlendes installieren</translation>
        </message>
        <message>
            <source>Asks once, then downloads</source>
            <translation>Fragt einmal und lädt dann herunter</translation>
        </message>
        <message>
            <source>Copy report</source>
            <translation>Bericht kopieren</translation>
        </message>
        <message>
            <source>In English, for a message to the developers; nothing is sent</source>
            <translation>Auf Englisch, für eine Nachricht an die Entwickler; es wird nichts gesendet</translation>
        </message>
        <message>
            <source>Choose folder ...</source>
            <translation>Ordner wählen ...</translation>
        </message>
        <message>
            <source>Choose where structures of your own are kept</source>
            <translation>Auswählen, wo Ihre eigenen Strukturen aufbewahrt werden</translation>
        </message>
        <message>
            <source>Remember the patients that structures are taught in</source>
            <translation>Patienten merken, an denen Strukturen angelernt werden</translation>
        </message>
        <message>
            <source>Beside each of My structures, its patients' CT around it and the drawn slices are kept on this computer, and give the next patient a start. An export never holds them.</source>
            <translation>Neben jeder Ihrer Strukturen werden auf diesem Computer die CT-Umgebung der Struktur und die gezeichneten Schichten der Patienten aufbewahrt; sie helfen beim nächsten Patienten. Ein Export enthält sie nie.</translation>
        </message>
        <message>
            <source>Needed: {names}.</source>
            <translation>Benötigt: {names}.</translation>
        </message>
        <message>
            <source>Structures of your own: {path}</source>
            <translation>Ihre eigenen Strukturen: {path}</translation>
        </message>
        <message>
            <source>Structures of your own</source>
            <translation>Ihre eigenen Strukturen</translation>
        </message>
    </context>
    <context>
        <name>panel.correcting</name>
        <message>
            <source>What was found is drawn: correct it and press Complete, or erase it and press Absent.</source>
            <translation>Das Gefundene ist eingezeichnet: Korrigieren Sie es und drücken Sie Vollständig, oder radieren Sie es aus und drücken Sie Fehlt.</translation>
        </message>
    </context>
    <context>
        <name>panel.curve</name>
        <message>
            <source>How teaching goes</source>
            <translation>Verlauf des Anlernens</translation>
        </message>
        <message>
            <source>Line: loss of the drawn slices. Dots: Dice of a drawn slice that was left out, whose number is above; the last part learns from all.</source>
            <translation>Linie: Verlust (Loss) der gezeichneten Schichten. Punkte: Dice einer ausgelassenen gezeichneten Schicht, deren Nummer darüber steht; der letzte Teil lernt von allen.</translation>
        </message>
        <message>
            <source>all</source>
            <translation>alle</translation>
        </message>
        <message>
            <source>Line: loss {loss}. Dots: Dice {dice} of the slice left out.</source>
            <translation>Linie: Loss {loss}. Punkte: Dice {dice} der ausgelassenen Schicht.</translation>
        </message>
        <message>
            <source>Line: loss. Dots: Dice (0 to 1) of each slice left out.</source>
            <translation>Linie: Loss. Punkte: Dice (0 bis 1) der ausgelassenen Schichten.</translation>
        </message>
    </context>
    <context>
        <name>panel.editor_box</name>
        <message>
            <source>Undo</source>
            <translation>Rückgängig</translation>
        </message>
        <message>
            <source>Take the last stroke or mark back (Ctrl+Z)</source>
            <translation>Den letzten Strich oder die letzte Marke zurücknehmen (Strg+Z)</translation>
        </message>
        <message>
            <source>Redo</source>
            <translation>Wiederholen</translation>
        </message>
        <message>
            <source>Have it back (Ctrl+Y)</source>
            <translation>Wiederherstellen (Strg+Y)</translation>
        </message>
    </context>
    <context>
        <name>panel.example</name>
        <message>
            <source>Example: the structure is drawn in three of ten slices, and found in all slices between them</source>
            <translation>Beispiel: Die Struktur ist in drei von zehn Schichten gezeichnet und wird in allen Schichten dazwischen gefunden</translation>
        </message>
        <message>
            <source>You draw three slices, mark one without:</source>
            <translation>Drei Schichten gezeichnet, eine ohne:</translation>
        </message>
        <message>
            <source>PromptSeg finds it in every slice:</source>
            <translation>PromptSeg findet sie in jeder Schicht:</translation>
        </message>
    </context>
    <context>
        <name>panel.frame_watch</name>
        <message>
            <source>{name} was drawn in another frame of the sequence.</source>
            <translation>{name} wurde in einem anderen Einzelbild der Sequenz gezeichnet.</translation>
        </message>
        <message>
            <source>Go to that frame</source>
            <translation>Dorthin wechseln</translation>
        </message>
    </context>
    <context>
        <name>panel.gallery</name>
        <message>
            <source>looked at</source>
            <translation>angesehen</translation>
        </message>
        <message>
            <source>accepted</source>
            <translation>angenommen</translation>
        </message>
        <message>
            <source>flagged</source>
            <translation>beanstandet</translation>
        </message>
        <message>
            <source>not looked at</source>
            <translation>nicht angesehen</translation>
        </message>
        <message>
            <source>Slices that need review</source>
            <translation>Schichten, die einen Blick wert sind</translation>
        </message>
        <message>
            <source>Click to go to the slice; Right and Left go to the next one and the one before</source>
            <translation>Ein Klick führt zur Schicht; die Pfeiltasten rechts und links führen zur nächsten und zur vorigen</translation>
        </message>
        <message>
            <source>Slice {n}</source>
            <translation>Schicht {n}</translation>
        </message>
        <message>
            <source>{name}, slice {n}: {why} ({mark})</source>
            <translation>{name}, Schicht {n}: {why} ({mark})</translation>
        </message>
    </context>
    <context>
        <name>panel.gallery_box</name>
        <message>
            <source>By risk</source>
            <translation>Nach Risiko</translation>
        </message>
        <message>
            <source>By structure</source>
            <translation>Nach Struktur</translation>
        </message>
        <message>
            <source>Order of the slices</source>
            <translation>Reihenfolge der Schichten</translation>
        </message>
        <message>
            <source>Which slices come first: those in which most may be wrong, or structure by structure</source>
            <translation>Welche Schichten zuerst kommen: die mit dem größten Fehlerrisiko, oder Struktur für Struktur</translation>
        </message>
        <message>
            <source>Slices that were looked at</source>
            <translation>Angesehene Schichten</translation>
        </message>
        <message>
            <source>Why this slice needs review</source>
            <translation>Warum diese Schicht einen Blick wert ist</translation>
        </message>
        <message>
            <source>Slices:</source>
            <translation>Schichten:</translation>
        </message>
        <message>
            <source>{n} of {of} looked at</source>
            <translation>{n} von {of} angesehen</translation>
        </message>
        <message>
            <source>{name}, slice {n}: {why}.</source>
            <translation>{name}, Schicht {n}: {why}.</translation>
        </message>
        <message>
            <source>Right and Left go through the slices; Y accepts, F flags.</source>
            <translation>Pfeil rechts und links blättern durch die Schichten; Y nimmt an, F beanstandet.</translation>
        </message>
    </context>
    <context>
        <name>panel.learning_curve</name>
        <message>
            <source>How learning goes</source>
            <translation>Verlauf des Lernens</translation>
        </message>
        <message>
            <source>Line: loss of the volumes that are learned from. Dots: mean Dice of held-out volumes; the best is kept.</source>
            <translation>Linie: Verlust der Volumina, von denen gelernt wird. Punkte: mittlerer Dice der zurückgehaltenen Volumina; das Beste wird behalten.</translation>
        </message>
        <message>
            <source>loss {loss} (line)   Dice of held-out volumes (dots), best {dice}</source>
            <translation>Verlust {loss} (Linie)   Dice (Punkte), bester {dice}</translation>
        </message>
    </context>
    <context>
        <name>panel.naming</name>
        <message>
            <source>Name, for example left kidney</source>
            <translation>Name, zum Beispiel linke Niere</translation>
        </message>
        <message>
            <source>Name of the structure</source>
            <translation>Name der Struktur</translation>
        </message>
        <message>
            <source>Enter begins to draw it, or renames the structure that is drawn</source>
            <translation>Die Eingabetaste beginnt mit dem Zeichnen oder benennt die gezeichnete Struktur um</translation>
        </message>
        <message>
            <source>Draw</source>
            <translation>Zeichnen</translation>
        </message>
        <message>
            <source>Make a segment of that name and draw in it</source>
            <translation>Ein Segment dieses Namens anlegen und darin zeichnen</translation>
        </message>
        <message>
            <source>Structure:</source>
            <translation>Struktur:</translation>
        </message>
        <message>
            <source>New</source>
            <translation>Neu</translation>
        </message>
    </context>
    <context>
        <name>panel.overlay_row</name>
        <message>
            <source>Uncertainty (%)</source>
            <translation>Unsicherheit (%)</translation>
        </message>
        <message>
            <source>Differences</source>
            <translation>Unterschiede</translation>
        </message>
        <message>
            <source>only here (false positive)</source>
            <translation>nur hier (falsch positiv)</translation>
        </message>
        <message>
            <source>only in the reference (false negative)</source>
            <translation>nur in der Referenz (falsch negativ)</translation>
        </message>
        <message>
            <source>only after the last round</source>
            <translation>nur nach der letzten Runde</translation>
        </message>
        <message>
            <source>only before it</source>
            <translation>nur davor</translation>
        </message>
        <message>
            <source>None</source>
            <translation>Keine</translation>
        </message>
        <message>
            <source>Uncertainty</source>
            <translation>Unsicherheit</translation>
        </message>
        <message>
            <source>Last round's change</source>
            <translation>Änderung der Runde</translation>
        </message>
        <message>
            <source>rather sure</source>
            <translation>eher sicher</translation>
        </message>
        <message>
            <source>uncertain</source>
            <translation>unsicher</translation>
        </message>
        <message>
            <source>false positive</source>
            <translation>falsch positiv</translation>
        </message>
        <message>
            <source>false negative</source>
            <translation>falsch negativ</translation>
        </message>
        <message>
            <source>new in this round</source>
            <translation>neu in dieser Runde</translation>
        </message>
        <message>
            <source>gone in this round</source>
            <translation>entfallen in dieser Runde</translation>
        </message>
        <message>
            <source>Overlay</source>
            <translation>Überlagerung</translation>
        </message>
        <message>
            <source>What is laid over the slices in colour</source>
            <translation>Was farbig über die Schichten gelegt wird</translation>
        </message>
        <message>
            <source>How strongly it is laid over the slices</source>
            <translation>Wie deutlich es über die Schichten gelegt wird</translation>
        </message>
        <message>
            <source>Opacity of the overlay</source>
            <translation>Deckkraft der Überlagerung</translation>
        </message>
        <message>
            <source>Overlay:</source>
            <translation>Überlagerung:</translation>
        </message>
    </context>
    <context>
        <name>panel.panel</name>
        <message>
            <source>Segment</source>
            <translation>Segmentieren</translation>
        </message>
        <message>
            <source>Teach</source>
            <translation>Anlernen</translation>
        </message>
        <message>
            <source>Review</source>
            <translation>Prüfen</translation>
        </message>
        <message>
            <source>What is installed, what computes, and a report to copy</source>
            <translation>Was installiert ist, was rechnet, und ein Bericht zum Kopieren</translation>
        </message>
        <message>
            <source>Nothing was installed. To compute, PromptSeg needs {names}.</source>
            <translation>Es wurde nichts installiert. Zum Rechnen braucht PromptSeg {names}.</translation>
        </message>
        <message>
            <source>Install</source>
            <translation>Installieren</translation>
        </message>
        <message>
            <source>Teach it a structure of your own: tab Teach.</source>
            <translation>Lernen Sie nun eine eigene Struktur an: Reiter Anlernen.</translation>
        </message>
        <message>
            <source>Computed on this computer; nothing is sent.</source>
            <translation>Rechnet nur auf diesem Computer.</translation>
        </message>
        <message>
            <source>To be installed when first needed: {names}.</source>
            <translation>Wird bei Bedarf installiert: {names}.</translation>
        </message>
        <message>
            <source>Back</source>
            <translation>Zurück</translation>
        </message>
        <message>
            <source>Self-check</source>
            <translation>Selbsttest</translation>
        </message>
    </context>
    <context>
        <name>panel.review_tab</name>
        <message>
            <source>No reference</source>
            <translation>Keine Referenz</translation>
        </message>
        <message>
            <source>Any other segmentation to compare with: an expert's, another program's, an older one</source>
            <translation>Eine andere Segmentierung zum Vergleich: die eines Experten, eines anderen Programms oder eine ältere</translation>
        </message>
        <message>
            <source>Reference segmentation</source>
            <translation>Referenzsegmentierung</translation>
        </message>
        <message>
            <source>Review</source>
            <translation>Prüfen</translation>
        </message>
        <message>
            <source>Accept</source>
            <translation>Annehmen</translation>
        </message>
        <message>
            <source>Flag</source>
            <translation>Beanstanden</translation>
        </message>
        <message>
            <source>Side by side</source>
            <translation>Nebeneinander</translation>
        </message>
        <message>
            <source>The same slice twice, with and without the segmentation; again to end</source>
            <translation>Dieselbe Schicht zweimal, mit und ohne Segmentierung; erneut drücken zum Beenden</translation>
        </message>
        <message>
            <source>Report ...</source>
            <translation>Bericht ...</translation>
        </message>
        <message>
            <source>Save as a page (.html) or a table (.csv)</source>
            <translation>Als Seite (.html) oder Tabelle (.csv) speichern</translation>
        </message>
        <message>
            <source>Before / After</source>
            <translation>Vorher / Nachher</translation>
        </message>
        <message>
            <source>Show the round of teaching before the last one, and back</source>
            <translation>Die Runde vor der letzten zeigen, und zurück</translation>
        </message>
        <message>
            <source>Compare with:</source>
            <translation>Vergleich mit:</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Measure all segments and find the slices to look at</source>
            <translation>Alle Segmente messen und die Schichten finden, die einen Blick wert sind</translation>
        </message>
        <message>
            <source>Nothing to review: segment or teach something first</source>
            <translation>Nichts zu prüfen: Segmentieren Sie zuerst etwas oder lernen Sie etwas an</translation>
        </message>
        <message>
            <source>Press Review: the slices that need review first are shown as pictures, to accept or to flag by key.</source>
            <translation>Drücken Sie Prüfen: Die Schichten, die am ehesten einen Blick wert sind, erscheinen als Bilder; Sie nehmen sie per Taste an oder beanstanden sie.</translation>
        </message>
        <message>
            <source>Segment or teach something first. Here you see then which slices need review.</source>
            <translation>Segmentieren Sie zuerst etwas oder lernen Sie etwas an. Hier sehen Sie dann, welche Schichten einen Blick wert sind.</translation>
        </message>
        <message>
            <source>{name} was reviewed, and another segmentation was chosen meanwhile: choose it, and press Review.</source>
            <translation>{name} wurde geprüft, und inzwischen wurde eine andere Segmentierung gewählt: wählen Sie sie, und drücken Sie Prüfen.</translation>
        </message>
        <message>
            <source>No slice stands out: none needs review.</source>
            <translation>Keine Schicht fällt auf: Nichts verlangt einen Blick.</translation>
        </message>
        <message>
            <source>Accept slice</source>
            <translation>Schicht annehmen</translation>
        </message>
        <message>
            <source>Flag slice</source>
            <translation>Schicht beanstanden</translation>
        </message>
        <message>
            <source>Accept structure</source>
            <translation>Struktur annehmen</translation>
        </message>
        <message>
            <source>Flag structure</source>
            <translation>Struktur beanstanden</translation>
        </message>
        <message>
            <source>{name}, slice {n}, then go to the next</source>
            <translation>{name}, Schicht {n}, dann weiter zur nächsten</translation>
        </message>
        <message>
            <source>All of {name}</source>
            <translation>{name} insgesamt</translation>
        </message>
        <message>
            <source>Choose a slice, or a structure in the table</source>
            <translation>Wählen Sie eine Schicht, oder eine Struktur in der Tabelle</translation>
        </message>
        <message>
            <source>Choose a slice, or a structure in the table, first.</source>
            <translation>Wählen Sie zuerst eine Schicht, oder eine Struktur in der Tabelle.</translation>
        </message>
        <message>
            <source>Report</source>
            <translation>Bericht</translation>
        </message>
        <message>
            <source>Page (*.html);;Table (*.csv)</source>
            <translation>Seite (*.html);;Tabelle (*.csv)</translation>
        </message>
        <message>
            <source>Review of {name}</source>
            <translation>Prüfung von {name}</translation>
        </message>
        <message>
            <source>Writing the report ...</source>
            <translation>Der Bericht wird geschrieben ...</translation>
        </message>
        <message>
            <source>Saved: {path}.</source>
            <translation>Gespeichert: {path}.</translation>
        </message>
    </context>
    <context>
        <name>panel.review_table</name>
        <message>
            <source>Completed</source>
            <translation>Abgeschlossen</translation>
        </message>
        <message>
            <source>Flagged</source>
            <translation>Beanstandet</translation>
        </message>
        <message>
            <source>Nothing found</source>
            <translation>Nichts gefunden</translation>
        </message>
        <message>
            <source>Needs review</source>
            <translation>Zu prüfen</translation>
        </message>
        <message>
            <source>Volume
(ml)</source>
            <translation>Volumen
(ml)</translation>
        </message>
        <message>
            <source>Volume of the segment</source>
            <translation>Volumen des Segments</translation>
        </message>
        <message>
            <source>Expected
Dice</source>
            <translation>Erwarteter
Dice</translation>
        </message>
        <message>
            <source>Dice to be expected of the slices that were not drawn</source>
            <translation>Zu erwartender Dice der nicht gezeichneten Schichten</translation>
        </message>
        <message>
            <source>Dice</source>
            <translation>Dice</translation>
        </message>
        <message>
            <source>Dice with the reference</source>
            <translation>Dice zur Referenz</translation>
        </message>
        <message>
            <source>NSD</source>
            <translation>NSD</translation>
        </message>
        <message>
            <source>Surface Dice with the reference: part of both surfaces within 2 mm of the other</source>
            <translation>Oberflächen-Dice zur Referenz: Anteil beider Oberflächen, der höchstens 2 mm von der anderen entfernt ist</translation>
        </message>
        <message>
            <source>HD95
(mm)</source>
            <translation>HD95
(mm)</translation>
        </message>
        <message>
            <source>95th percentile of the distance between the surfaces</source>
            <translation>95. Perzentil des Abstands zwischen den Oberflächen</translation>
        </message>
        <message>
            <source>Structures and how good they are</source>
            <translation>Strukturen und ihre Güte</translation>
        </message>
        <message>
            <source>Structure</source>
            <translation>Struktur</translation>
        </message>
        <message>
            <source>Status</source>
            <translation>Status</translation>
        </message>
    </context>
    <context>
        <name>panel.rounds</name>
        <message>
            <source>Before / After</source>
            <translation>Vorher / Nachher</translation>
        </message>
        <message>
            <source>Show the round before, and back</source>
            <translation>Die Runde davor zeigen, und zurück</translation>
        </message>
        <message>
            <source>Undo round</source>
            <translation>Runde zurück</translation>
        </message>
        <message>
            <source>Go back to the round before</source>
            <translation>Zur Runde davor zurückkehren</translation>
        </message>
        <message>
            <source>Accept</source>
            <translation>Übernehmen</translation>
        </message>
        <message>
            <source>Keep it in My structures, for this and other patients</source>
            <translation>In Meine Strukturen aufbewahren, für diesen und andere Patienten</translation>
        </message>
        <message>
            <source>After: the last round.</source>
            <translation>Nachher: die letzte Runde.</translation>
        </message>
        <message>
            <source>Before: the round before the last one.</source>
            <translation>Vorher: die Runde vor der letzten.</translation>
        </message>
        <message>
            <source>The last round was taken back.</source>
            <translation>Die letzte Runde wurde zurückgenommen.</translation>
        </message>
        <message>
            <source>{name} is kept in My structures, and ticked in Segment. In this CT it stays as it was taught.</source>
            <translation>{name} ist in Meine Strukturen aufbewahrt und unter Segmentieren angehakt. In diesem CT bleibt die Struktur so, wie sie angelernt wurde.</translation>
        </message>
    </context>
    <context>
        <name>panel.running</name>
        <message>
            <source>Starting</source>
            <translation>Beginnt</translation>
        </message>
        <message>
            <source>Stopped; nothing was changed.</source>
            <translation>Abgebrochen; nichts wurde geändert.</translation>
        </message>
        <message>
            <source>Stopping</source>
            <translation>Wird abgebrochen</translation>
        </message>
        <message>
            <source>Ending with the best so far</source>
            <translation>Endet mit dem bisher Besten</translation>
        </message>
    </context>
    <context>
        <name>panel.segment_tab</name>
        <message>
            <source>Segment the ticked structures; the same button stops it</source>
            <translation>Die angehakten Strukturen segmentieren; dieselbe Taste bricht ab</translation>
        </message>
        <message>
            <source>Show the segmentation in the 3D view</source>
            <translation>Die Segmentierung in der 3D-Ansicht zeigen</translation>
        </message>
        <message>
            <source>Import ...</source>
            <translation>Import ...</translation>
        </message>
        <message>
            <source>Take a .promptset file into My structures</source>
            <translation>Eine .promptset-Datei in Meine Strukturen aufnehmen</translation>
        </message>
        <message>
            <source>Export ...</source>
            <translation>Export ...</translation>
        </message>
        <message>
            <source>Delete ...</source>
            <translation>Löschen ...</translation>
        </message>
        <message>
            <source>Forget ...</source>
            <translation>Vergessen ...</translation>
        </message>
        <message>
            <source>Correct the slices of this result that are least certain, and teach the structure in this patient, too. Select another structure in the list to correct that one.</source>
            <translation>Die unsichersten Schichten dieses Ergebnisses korrigieren und die Struktur auch in diesem Patienten lehren. Um eine andere Struktur zu korrigieren, wird sie in der Liste ausgewählt.</translation>
        </message>
        <message>
            <source>The volume is a frame of a sequence: segment each of its frames</source>
            <translation>Das Volumen ist ein Einzelbild einer Sequenz: jedes ihrer Einzelbilder segmentieren</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>All {n} frames of the sequence</source>
            <translation>Alle {n} Einzelbilder der Sequenz</translation>
        </message>
        <message>
            <source>Save the selected or ticked structures of yours as a file</source>
            <translation>Ihre ausgewählten oder angehakten Strukturen als Datei speichern</translation>
        </message>
        <message>
            <source>Nothing to export: select or tick some of My structures</source>
            <translation>Nichts zu exportieren: Wählen oder haken Sie einige unter Meine Strukturen an</translation>
        </message>
        <message>
            <source>Remove the selected structure of yours</source>
            <translation>Ihre ausgewählte Struktur entfernen</translation>
        </message>
        <message>
            <source>Nothing to delete: select one of My structures</source>
            <translation>Nichts zu löschen: Wählen Sie eine unter Meine Strukturen</translation>
        </message>
        <message>
            <source>Remove the pictures of patients that are kept beside the selected structure</source>
            <translation>Die Bilder von Patienten entfernen, die neben der ausgewählten Struktur aufbewahrt sind</translation>
        </message>
        <message>
            <source>Nothing to forget: select one of My structures that remembers patients</source>
            <translation>Nichts zu vergessen: Wählen Sie eine unter Meine Strukturen, die sich Patienten merkt</translation>
        </message>
        <message>
            <source>Correct {name} ...</source>
            <translation>{name} korrigieren ...</translation>
        </message>
        <message>
            <source>Stopped; the segmentation is as it was.</source>
            <translation>Abgebrochen; die Segmentierung ist wie zuvor.</translation>
        </message>
        <message>
            <source>It lies in {name}.</source>
            <translation>Das Ergebnis liegt in {name}.</translation>
        </message>
        <message>
            <source>Not found: {names}.</source>
            <translation>Nicht gefunden: {names}.</translation>
        </message>
        <message>
            <source>As taught in this CT: {names}.</source>
            <translation>Wie in diesem CT angelernt: {names}.</translation>
        </message>
        <message>
            <source>Undo</source>
            <translation>Rückgängig</translation>
        </message>
        <message>
            <source>Taken back: the segmentation is as it was before.</source>
            <translation>Zurückgenommen: Die Segmentierung ist wie zuvor.</translation>
        </message>
        <message>
            <source>Taken back, but for what you changed since: {names}.</source>
            <translation>Zurückgenommen, bis auf das, was Sie seither geändert haben: {names}.</translation>
        </message>
        <message>
            <source>Import a prompt set</source>
            <translation>Prompt-Satz importieren</translation>
        </message>
        <message>
            <source>Prompt sets (*.promptset)</source>
            <translation>Prompt-Sätze (*.promptset)</translation>
        </message>
        <message>
            <source>Imported: {names}.</source>
            <translation>Importiert: {names}.</translation>
        </message>
        <message>
            <source>Export</source>
            <translation>Exportieren</translation>
        </message>
        <message>
            <source>Stopped; nothing was exported.</source>
            <translation>Abgebrochen; nichts wurde exportiert.</translation>
        </message>
        <message>
            <source>Saved: {path}.</source>
            <translation>Gespeichert: {path}.</translation>
        </message>
        <message>
            <source>Others get no start in their patients for: {names}.</source>
            <translation>Anderen gibt dies in ihren Patienten keinen Anfang für: {names}.</translation>
        </message>
        <message>
            <source>Delete what was learned for {name}? This cannot be undone.</source>
            <translation>Das für {name} Gelernte löschen? Das lässt sich nicht rückgängig machen.</translation>
        </message>
        <message>
            <source>Delete a structure</source>
            <translation>Struktur löschen</translation>
        </message>
        <message>
            <source>Forget the patients that {name} was taught in? What was learned stays.</source>
            <translation>Die Patienten vergessen, an denen {name} angelernt wurde? Das Gelernte bleibt.</translation>
        </message>
        <message>
            <source>Forget patients</source>
            <translation>Patienten vergessen</translation>
        </message>
        <message>
            <source>Forgotten for this structure. Pictures of the same patients are still kept for: {names}.</source>
            <translation>Für diese Struktur vergessen. Bilder derselben Patienten sind noch aufbewahrt für: {names}.</translation>
        </message>
        <message>
            <source>Forgotten: nothing is kept of the patients any more.</source>
            <translation>Vergessen: Von den Patienten ist nichts mehr aufbewahrt.</translation>
        </message>
        <message>
            <source>Deleted.</source>
            <translation>Gelöscht.</translation>
        </message>
    </context>
    <context>
        <name>panel.start_page</name>
        <message>
            <source>Downloads 3D Slicer's own sample from github.com, if it was not before; nothing is sent</source>
            <translation>Lädt ein Beispiel von 3D Slicer selbst von github.com, falls das noch nicht geschehen ist; nichts wird gesendet</translation>
        </message>
        <message>
            <source>Try it on a sample CT</source>
            <translation>An einem Beispiel-CT ausprobieren</translation>
        </message>
        <message>
            <source>Load a CT: drag its file or its DICOM folder into the window.</source>
            <translation>Laden Sie ein CT: Ziehen Sie seine Datei oder seinen DICOM-Ordner in das Fenster.</translation>
        </message>
        <message>
            <source>Downloads an abdominal CT of 3D Slicer's own samples (github.com), and segments its liver.</source>
            <translation>Lädt ein Abdomen-CT aus den Beispielen von 3D Slicer (github.com) und segmentiert die Leber.</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Stopped: nothing is kept.</source>
            <translation>Abgebrochen: Nichts wird aufbewahrt.</translation>
        </message>
    </context>
    <context>
        <name>panel.strip</name>
        <message>
            <source>not drawn</source>
            <translation>nicht gezeichnet</translation>
        </message>
        <message>
            <source>draft: only what is painted counts</source>
            <translation>Entwurf: nur das Gemalte zählt</translation>
        </message>
        <message>
            <source>complete: what is not painted is not the structure</source>
            <translation>vollständig: was nicht bemalt ist, ist nicht die Struktur</translation>
        </message>
        <message>
            <source>absent: the structure is not in this slice</source>
            <translation>fehlt: die Struktur ist nicht in dieser Schicht</translation>
        </message>
        <message>
            <source>Slices and what is drawn in them</source>
            <translation>Schichten und was in ihnen gezeichnet ist</translation>
        </message>
        <message>
            <source>Slice {n}: {status}</source>
            <translation>Schicht {n}: {status}</translation>
        </message>
        <message>
            <source>suggested next</source>
            <translation>als nächste vorgeschlagen</translation>
        </message>
        <message>
            <source>changed since the last round</source>
            <translation>seit der letzten Runde geändert</translation>
        </message>
    </context>
    <context>
        <name>panel.structures</name>
        <message>
            <source>Search structures</source>
            <translation>Strukturen suchen</translation>
        </message>
        <message>
            <source>Structure</source>
            <translation>Struktur</translation>
        </message>
        <message>
            <source>Typical Dice</source>
            <translation>Typischer Dice</translation>
        </message>
        <message>
            <source>Structures</source>
            <translation>Strukturen</translation>
        </message>
        <message>
            <source>What the structure reached in CTs that were not learned from: 1 is perfect; below 0.7, check every slice</source>
            <translation>Was die Struktur in CTs erreichte, von denen nicht gelernt wurde: 1 ist vollkommen; unter 0.7 ist jede Schicht zu prüfen</translation>
        </message>
        <message>
            <source>{title} ({n} of {all})</source>
            <translation>{title} ({n} von {all})</translation>
        </message>
        <message>
            <source>{name}: {what}.</source>
            <translation>{name}: {what}.</translation>
        </message>
    </context>
    <context>
        <name>panel.teach_head</name>
        <message>
            <source>View to draw in</source>
            <translation>Ansicht, in der gezeichnet wird</translation>
        </message>
        <message>
            <source>Axial (red)</source>
            <translation>Axial (rot)</translation>
        </message>
        <message>
            <source>Coronal (green)</source>
            <translation>Koronal (grün)</translation>
        </message>
        <message>
            <source>Sagittal (yellow)</source>
            <translation>Sagittal (gelb)</translation>
        </message>
        <message>
            <source>The view to draw in; marks, drafts and suggestions belong to its slices</source>
            <translation>Die Ansicht, in der Sie zeichnen; Markierungen, Entwürfe und Vorschläge gehören zu ihren Schichten</translation>
        </message>
        <message>
            <source>{complete} complete, {draft} draft, {absent} absent</source>
            <translation>{complete} vollständig, {draft} Entwurf, {absent} fehlt</translation>
        </message>
        <message>
            <source>Of {all} slices. Three to five complete ones are usual.</source>
            <translation>Von {all} Schichten. Drei bis fünf vollständige sind üblich.</translation>
        </message>
    </context>
    <context>
        <name>panel.teach_tab</name>
        <message>
            <source>Type the name of the structure, then press Draw.</source>
            <translation>Geben Sie den Namen der Struktur ein und drücken Sie Zeichnen.</translation>
        </message>
        <message>
            <source>Complete</source>
            <translation>Vollständig</translation>
        </message>
        <message>
            <source>The whole structure is drawn in this slice</source>
            <translation>Die ganze Struktur ist in dieser Schicht gezeichnet</translation>
        </message>
        <message>
            <source>Absent</source>
            <translation>Fehlt</translation>
        </message>
        <message>
            <source>The structure is not in this slice</source>
            <translation>Die Struktur ist nicht in dieser Schicht</translation>
        </message>
        <message>
            <source>Unmark</source>
            <translation>Aufheben</translation>
        </message>
        <message>
            <source>Take the mark of this slice back</source>
            <translation>Die Markierung dieser Schicht zurücknehmen</translation>
        </message>
        <message>
            <source>Next</source>
            <translation>Nächste</translation>
        </message>
        <message>
            <source>Go to the suggested slice: its drawing should help most</source>
            <translation>Zur vorgeschlagenen Schicht gehen: Sie zu zeichnen hilft voraussichtlich am meisten</translation>
        </message>
        <message>
            <source>Preview</source>
            <translation>Vorschau</translation>
        </message>
        <message>
            <source>Teach</source>
            <translation>Anlernen</translation>
        </message>
        <message>
            <source>Stop and keep best</source>
            <translation>Beenden, Bestes behalten</translation>
        </message>
        <message>
            <source>End now with the best so far</source>
            <translation>Jetzt mit dem bisher Besten enden</translation>
        </message>
        <message>
            <source>{name} is a result. Choose the segment that you draw in, or draw another structure.</source>
            <translation>{name} ist ein Ergebnis. Wählen Sie das Segment, in dem Sie zeichnen, oder zeichnen Sie eine andere Struktur.</translation>
        </message>
        <message>
            <source>You drew in another view: choose that view above to mark its slice.</source>
            <translation>Sie haben in einer anderen Ansicht gezeichnet: Wählen Sie oben diese Ansicht, um ihre Schicht zu markieren.</translation>
        </message>
        <message>
            <source>Nothing to learn from: draw the structure in a slice first</source>
            <translation>Nichts zu lernen: Zeichnen Sie die Struktur zuerst in einer Schicht</translation>
        </message>
        <message>
            <source>A first mask within seconds</source>
            <translation>Eine erste Maske innerhalb von Sekunden</translation>
        </message>
        <message>
            <source>Learn the structure from what is drawn; about a minute</source>
            <translation>Die Struktur aus dem Gezeichneten lernen; etwa eine Minute</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Teach again</source>
            <translation>Erneut anlernen</translation>
        </message>
        <message>
            <source>Draw the structure in a few slices. Press Complete when it is whole in a slice.</source>
            <translation>Zeichnen Sie die Struktur in einigen Schichten. Drücken Sie Vollständig, wenn sie in einer Schicht ganz gezeichnet ist.</translation>
        </message>
        <message>
            <source>The view is not along the volume's slices; turn it.</source>
            <translation>Die Ansicht liegt nicht entlang der Schichten des Volumens; drehen Sie sie.</translation>
        </message>
        <message>
            <source>Align the view</source>
            <translation>Ansicht ausrichten</translation>
        </message>
        <message>
            <source>Stopped; what was shown before is back.</source>
            <translation>Abgebrochen; das zuvor Gezeigte ist wieder da.</translation>
        </message>
    </context>
    <context>
        <name>panel.texts</name>
        <message>
            <source>{i} x {j} x {k}, {x:.2f} x {y:.2f} x {z:.2f} mm, {low:.0f} to {high:.0f} HU</source>
            <translation>{i} x {j} x {k}, {x:.2f} x {y:.2f} x {z:.2f} mm, {low:.0f} bis {high:.0f} HU</translation>
        </message>
        <message>
            <source>This volume is very large: crop it to what you need (module Crop Volume).</source>
            <translation>Dieses Volumen ist sehr groß: Beschneiden Sie es auf das Nötige (Modul Crop Volume).</translation>
        </message>
        <message>
            <source>Slices are more than 5 mm apart: small structures may be missed.</source>
            <translation>Die Schichten liegen mehr als 5 mm auseinander: Kleine Strukturen können übersehen werden.</translation>
        </message>
        <message>
            <source>{n} s left</source>
            <translation>noch {n} s</translation>
        </message>
        <message>
            <source>{n} min left</source>
            <translation>noch {n} min</translation>
        </message>
        <message>
            <source>Tick what to segment</source>
            <translation>Haken Sie an, was segmentiert werden soll</translation>
        </message>
        <message>
            <source>Segment 1 structure</source>
            <translation>1 Struktur segmentieren</translation>
        </message>
        <message>
            <source>Segment {n} structures</source>
            <translation>{n} Strukturen segmentieren</translation>
        </message>
        <message>
            <source>1 structure segmented in {s:.0f} s.</source>
            <translation>1 Struktur in {s:.0f} s segmentiert.</translation>
        </message>
        <message>
            <source>{n} structures segmented in {s:.0f} s.</source>
            <translation>{n} Strukturen in {s:.0f} s segmentiert.</translation>
        </message>
        <message>
            <source>Abdomen CT</source>
            <translation>Abdomen-CT</translation>
        </message>
        <message>
            <source>Head and neck CT</source>
            <translation>Kopf-Hals-CT</translation>
        </message>
        <message>
            <source>Chest CT</source>
            <translation>Thorax-CT</translation>
        </message>
        <message>
            <source>My structures</source>
            <translation>Meine Strukturen</translation>
        </message>
        <message>
            <source>plane</source>
            <translation>Ebene</translation>
        </message>
        <message>
            <source>author</source>
            <translation>Autor</translation>
        </message>
        <message>
            <source>licence</source>
            <translation>Lizenz</translation>
        </message>
        <message>
            <source>date</source>
            <translation>Datum</translation>
        </message>
        <message>
            <source>note</source>
            <translation>Notiz</translation>
        </message>
        <message>
            <source>data</source>
            <translation>Daten</translation>
        </message>
        <message>
            <source>volumes</source>
            <translation>Volumina</translation>
        </message>
        <message>
            <source>slices drawn</source>
            <translation>gezeichnete Schichten</translation>
        </message>
        <message>
            <source>Dice of left-out slices</source>
            <translation>Dice ausgelassener Schichten</translation>
        </message>
        <message>
            <source>Dice of these without contours</source>
            <translation>Dice davon ohne Konturen</translation>
        </message>
        <message>
            <source>Dice on validation subjects</source>
            <translation>Dice an Validierungspatienten</translation>
        </message>
        <message>
            <source>Dice of the known prompt that it is</source>
            <translation>Dice des bekannten Prompts, der es ist</translation>
        </message>
        <message>
            <source>whole volumes: {training} learned from, {held_out} held out</source>
            <translation>ganze Volumina: von {training} gelernt, {held_out} zurückgehalten</translation>
        </message>
        <message>
            <source>Dice of each held out: {dice}</source>
            <translation>Dice der zurückgehaltenen: {dice}</translation>
        </message>
        <message>
            <source>{name}: stopped before its end.</source>
            <translation>{name}: vor dem Ende beendet.</translation>
        </message>
        <message>
            <source>{name}: stopped at step {n}, Dice {dice:.2f}.</source>
            <translation>{name}: bei Schritt {n} beendet, Dice {dice:.2f}.</translation>
        </message>
        <message>
            <source>{name} is learned: Dice {dice:.2f} in the volumes that were held out ({each}).</source>
            <translation>{name} ist gelernt: Dice {dice:.2f} in den zurückgehaltenen Volumina ({each}).</translation>
        </message>
        <message>
            <source>{name} is learned.</source>
            <translation>{name} ist gelernt.</translation>
        </message>
        <message>
            <source>It lies in My structures, ticked in the tab Segment.</source>
            <translation>Sie liegt in Meine Strukturen und ist im Reiter Segmentieren angehakt.</translation>
        </message>
        <message>
            <source>That is the best so far: Go on learns further.</source>
            <translation>Das ist das bisher Beste: Fortsetzen lernt weiter.</translation>
        </message>
        <message>
            <source>open CTs that show where it lies: {n}</source>
            <translation>offene CTs, die zeigen, wo es liegt: {n}</translation>
        </message>
        <message>
            <source>remembers on this computer the patients it was taught in: {mb:.1f} MB</source>
            <translation>merkt sich auf diesem Computer die Patienten, an denen sie angelernt wurde: {mb:.1f} MB</translation>
        </message>
        <message>
            <source>Expected Dice of {name}: {dice:.2f} ({low:.2f} to {high:.2f}).</source>
            <translation>Erwarteter Dice von {name}: {dice:.2f} ({low:.2f} bis {high:.2f}).</translation>
        </message>
        <message>
            <source>Round {n}: draw at least three slices to learn how good it is.</source>
            <translation>Runde {n}: Zeichnen Sie mindestens drei Schichten, um zu erfahren, wie gut sie ist.</translation>
        </message>
        <message>
            <source>Round {n}. {found}</source>
            <translation>Runde {n}. {found}</translation>
        </message>
        <message>
            <source>Round {n}: expected Dice {dice:.2f} ({low:.2f} to {high:.2f}) between the first and the last drawn slice.</source>
            <translation>Runde {n}: erwarteter Dice {dice:.2f} ({low:.2f} bis {high:.2f}) zwischen der ersten und der letzten gezeichneten Schicht.</translation>
        </message>
        <message>
            <source>The drawn slices between the first and the last were found from the others with a mean Dice of {dice:.2f}.</source>
            <translation>Die gezeichneten Schichten zwischen der ersten und der letzten wurden aus den anderen mit einem mittleren Dice von {dice:.2f} gefunden.</translation>
        </message>
        <message>
            <source>Without your contours the network found left-out slices with a Dice of only {dice:.2f}: in another CT it may find little of it. Draw a few slices there, too, and teach it there.</source>
            <translation>Ohne Ihre Konturen fand das Netz ausgelassene Schichten mit einem Dice von nur {dice:.2f}: In einem anderen CT findet es davon vielleicht wenig. Zeichnen Sie auch dort einige Schichten und lernen Sie die Struktur dort an.</translation>
        </message>
        <message>
            <source>1. Type the name of a structure, and press Draw.</source>
            <translation>1. Geben Sie den Namen einer Struktur ein und drücken Sie Zeichnen.</translation>
        </message>
        <message>
            <source>2. Draw it in three to five slices, the first and the last among them. In each, press Complete.</source>
            <translation>2. Zeichnen Sie sie in drei bis fünf Schichten, darunter die erste und die letzte. Drücken Sie in jeder Vollständig.</translation>
        </message>
        <message>
            <source>3. Press Absent in a slice without it, then Teach.</source>
            <translation>3. Drücken Sie Fehlt in einer Schicht ohne sie, dann Anlernen.</translation>
        </message>
        <message>
            <source>4. Correct a slice where the result is wrong, and teach again. Accept keeps it for other patients.</source>
            <translation>4. Korrigieren Sie eine Schicht, in der das Ergebnis falsch ist, und lernen Sie erneut an. Übernehmen bewahrt sie für andere Patienten auf.</translation>
        </message>
        <message>
            <source>{text} (key {key})</source>
            <translation>{text} (Taste {key})</translation>
        </message>
        <message>
            <source>Stopped; the best so far is shown, that of step {n}.</source>
            <translation>Beendet; gezeigt wird das bisher Beste, das von Schritt {n}.</translation>
        </message>
        <message>
            <source>{name} is taught. The result lies in {segmentation}.</source>
            <translation>{name} ist angelernt. Das Ergebnis liegt in {segmentation}.</translation>
        </message>
    </context>
    <context>
        <name>panel.volume_box</name>
        <message>
            <source>Volume</source>
            <translation>Volumen</translation>
        </message>
        <message>
            <source>Load a CT first</source>
            <translation>Zuerst ein CT laden</translation>
        </message>
        <message>
            <source>Segmentation</source>
            <translation>Segmentierung</translation>
        </message>
        <message>
            <source>New, made when needed</source>
            <translation>Neu, wird bei Bedarf angelegt</translation>
        </message>
        <message>
            <source>Where results go and where you draw; a new one is made when it is needed</source>
            <translation>Wohin Ergebnisse kommen und wo Sie zeichnen; eine neue wird bei Bedarf angelegt</translation>
        </message>
        <message>
            <source>What the volume is</source>
            <translation>Was das Volumen ist</translation>
        </message>
        <message>
            <source>Volume:</source>
            <translation>Volumen:</translation>
        </message>
        <message>
            <source>Segmentation:</source>
            <translation>Segmentierung:</translation>
        </message>
        <message>
            <source>The CT to work on</source>
            <translation>Das CT, an dem gearbeitet wird</translation>
        </message>
    </context>
    <context>
        <name>panel.volumes_page</name>
        <message>
            <source>Learn from whole volumes that are segmented already, three or more</source>
            <translation>Von ganzen, schon segmentierten Volumina lernen, drei oder mehr</translation>
        </message>
        <message>
            <source>Tick volumes of different patients in which the structure is segmented. A quarter of them is held out and tells how well it is found.</source>
            <translation>Haken Sie Volumina verschiedener Patienten an, in denen die Struktur segmentiert ist. Ein Viertel davon wird zurückgehalten und zeigt, wie gut sie gefunden wird.</translation>
        </message>
        <message>
            <source>Structure to learn</source>
            <translation>Zu lernende Struktur</translation>
        </message>
        <message>
            <source>A data set on disk, in the layout of the Medical Segmentation Decathlon or of nnU-Net</source>
            <translation>Ein Datensatz auf der Festplatte, im Aufbau des Medical Segmentation Decathlon oder von nnU-Net</translation>
        </message>
        <message>
            <source>Folder ...</source>
            <translation>Ordner ...</translation>
        </message>
        <message>
            <source>Scene</source>
            <translation>Szene</translation>
        </message>
        <message>
            <source>Back to the volumes of the scene</source>
            <translation>Zurück zu den Volumina der Szene</translation>
        </message>
        <message>
            <source>Volume</source>
            <translation>Volumen</translation>
        </message>
        <message>
            <source>Segmentation</source>
            <translation>Segmentierung</translation>
        </message>
        <message>
            <source>Segmented volumes</source>
            <translation>Segmentierte Volumina</translation>
        </message>
        <message>
            <source>at most </source>
            <translation>höchstens </translation>
        </message>
        <message>
            <source> min</source>
            <translation> min</translation>
        </message>
        <message>
            <source>Minutes to learn at most</source>
            <translation>Höchstens so viele Minuten lernen</translation>
        </message>
        <message>
            <source>It ends sooner when held-out volumes are no longer found better</source>
            <translation>Es endet früher, wenn zurückgehaltene Volumina nicht mehr besser gefunden werden</translation>
        </message>
        <message>
            <source>Teach</source>
            <translation>Anlernen</translation>
        </message>
        <message>
            <source>Learn the structure; the same button stops it</source>
            <translation>Die Struktur lernen; dieselbe Taste hält an</translation>
        </message>
        <message>
            <source>Go on</source>
            <translation>Fortsetzen</translation>
        </message>
        <message>
            <source>Go on with this run for as long again</source>
            <translation>Diesen Lauf noch einmal so lange fortsetzen</translation>
        </message>
        <message>
            <source>Forget this run, with the volumes that are kept for it; what it learned stays in My structures</source>
            <translation>Diesen Lauf mit den dafür aufbewahrten Volumina vergessen; das Gelernte bleibt in Meine Strukturen</translation>
        </message>
        <message>
            <source>Forget</source>
            <translation>Vergessen</translation>
        </message>
        <message>
            <source>Structure:</source>
            <translation>Struktur:</translation>
        </message>
        <message>
            <source>(not known)</source>
            <translation>(nicht bekannt)</translation>
        </message>
        <message>
            <source>The segmentation does not say which volume it is of: {remedy}.</source>
            <translation>Die Segmentierung sagt nicht, zu welchem Volumen sie gehört: {remedy}.</translation>
        </message>
        <message>
            <source>PromptSeg found this itself: tick it once you have checked it.</source>
            <translation>Das hat PromptSeg selbst gefunden: Haken Sie es an, wenn Sie es geprüft haben.</translation>
        </message>
        <message>
            <source>Stop and keep best</source>
            <translation>Beenden, Bestes behalten</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Data set {name}: {n} volumes.</source>
            <translation>Datensatz {name}: {n} Volumina.</translation>
        </message>
        <message>
            <source>No volume of the scene is segmented: load CTs with their segmentations, or choose a folder.</source>
            <translation>Kein Volumen der Szene ist segmentiert: Laden Sie CTs mit ihren Segmentierungen, oder wählen Sie einen Ordner.</translation>
        </message>
        <message>
            <source>{n} of {all} ticked; {least} are needed.</source>
            <translation>{n} von {all} angehakt; {least} werden gebraucht.</translation>
        </message>
        <message>
            <source>{n} of {all} ticked.</source>
            <translation>{n} von {all} angehakt.</translation>
        </message>
        <message>
            <source>Back to drawing slices</source>
            <translation>Zurück zum Zeichnen von Schichten</translation>
        </message>
        <message>
            <source>Teach from segmented volumes ...</source>
            <translation>Aus segmentierten Volumina anlernen ...</translation>
        </message>
        <message>
            <source>Learning from segmented volumes ...</source>
            <translation>Lernt aus segmentierten Volumina ...</translation>
        </message>
        <message>
            <source>A data set, with its dataset.json</source>
            <translation>Ein Datensatz mit seiner dataset.json</translation>
        </message>
        <message>
            <source>Stopped.</source>
            <translation>Beendet.</translation>
        </message>
        <message>
            <source>Stopped before anything was learned.</source>
            <translation>Beendet, bevor etwas gelernt wurde.</translation>
        </message>
        <message>
            <source>Teach all the same</source>
            <translation>Trotzdem anlernen</translation>
        </message>
        <message>
            <source>Forget the unfinished run of {name}? It cannot be gone on with then.</source>
            <translation>Den unfertigen Lauf von {name} vergessen? Er lässt sich dann nicht mehr fortsetzen.</translation>
        </message>
        <message>
            <source>Forget a run</source>
            <translation>Lauf vergessen</translation>
        </message>
    </context>
    <context>
        <name>review.page</name>
        <message>
            <source>For research use only. Not a medical device, and not for diagnosis or treatment.</source>
            <translation>Nur für die Forschung. Kein Medizinprodukt, und nicht für Diagnose oder Behandlung.</translation>
        </message>
        <message>
            <source>Completed</source>
            <translation>Abgeschlossen</translation>
        </message>
        <message>
            <source>Accepted</source>
            <translation>Angenommen</translation>
        </message>
        <message>
            <source>Flagged</source>
            <translation>Beanstandet</translation>
        </message>
        <message>
            <source>Looked at</source>
            <translation>Angesehen</translation>
        </message>
        <message>
            <source>{i} x {j} x {k} voxels of {x:.3g} x {y:.3g} x {z:.3g} mm</source>
            <translation>{i} x {j} x {k} Voxel von {x:.3g} x {y:.3g} x {z:.3g} mm</translation>
        </message>
        <message>
            <source>{plane}, counted along {axis} from 0</source>
            <translation>{plane}, gezählt entlang {axis} ab 0</translation>
        </message>
        <message>
            <source>Date</source>
            <translation>Datum</translation>
        </message>
        <message>
            <source>Made by</source>
            <translation>Erstellt mit</translation>
        </message>
        <message>
            <source>Volume</source>
            <translation>Volumen</translation>
        </message>
        <message>
            <source>Grid</source>
            <translation>Gitter</translation>
        </message>
        <message>
            <source>Segmentation</source>
            <translation>Segmentierung</translation>
        </message>
        <message>
            <source>Reference</source>
            <translation>Referenz</translation>
        </message>
        <message>
            <source>none</source>
            <translation>keine</translation>
        </message>
        <message>
            <source>Slices</source>
            <translation>Schichten</translation>
        </message>
        <message>
            <source>{n} of {of} slices that need review; {accepted} accepted, {flagged} flagged</source>
            <translation>{n} von {of} Schichten, die einen Blick wert sind; {accepted} angenommen, {flagged} beanstandet</translation>
        </message>
        <message>
            <source>Structures</source>
            <translation>Strukturen</translation>
        </message>
        <message>
            <source>What looks odd</source>
            <translation>Was auffällt</translation>
        </message>
        <message>
            <source>Where to look</source>
            <translation>Wo man hinsehen sollte</translation>
        </message>
        <message>
            <source>Slice by slice</source>
            <translation>Schicht für Schicht</translation>
        </message>
        <message>
            <source>What was reviewed</source>
            <translation>Was geprüft wurde</translation>
        </message>
        <message>
            <source>Made by PromptSeg {version}. Everything was computed on this computer.</source>
            <translation>Erstellt mit PromptSeg {version}. Alles wurde auf diesem Computer berechnet.</translation>
        </message>
        <message>
            <source>Skip to the content</source>
            <translation>Zum Inhalt springen</translation>
        </message>
        <message>
            <source>Contents</source>
            <translation>Inhalt</translation>
        </message>
        <message>
            <source>table</source>
            <translation>Tabelle</translation>
        </message>
        <message>
            <source>1 structure of {volume}</source>
            <translation>1 Struktur von {volume}</translation>
        </message>
        <message>
            <source>{n} structures of {volume}</source>
            <translation>{n} Strukturen von {volume}</translation>
        </message>
        <message>
            <source>{what}, compared with a reference</source>
            <translation>{what}, mit einer Referenz verglichen</translation>
        </message>
        <message>
            <source>{what}, looked at without a reference</source>
            <translation>{what}, ohne Referenz betrachtet</translation>
        </message>
        <message>
            <source>Dice, {name}</source>
            <translation>Dice, {name}</translation>
        </message>
        <message>
            <source>Expected Dice, {name}</source>
            <translation>Erwarteter Dice, {name}</translation>
        </message>
        <message>
            <source>There is no reference here: these figures say what looks uncertain or odd, not what is wrong.</source>
            <translation>Es gibt hier keine Referenz: Diese Zahlen sagen, was unsicher oder auffällig aussieht, nicht was falsch ist.</translation>
        </message>
        <message>
            <source>Structure</source>
            <translation>Struktur</translation>
        </message>
        <message>
            <source>Volume (ml)</source>
            <translation>Volumen (ml)</translation>
        </message>
        <message>
            <source>May be wrong (ml)</source>
            <translation>Möglicherweise falsch (ml)</translation>
        </message>
        <message>
            <source>Expected Dice</source>
            <translation>Erwarteter Dice</translation>
        </message>
        <message>
            <source>Reference (ml)</source>
            <translation>Referenz (ml)</translation>
        </message>
        <message>
            <source>Dice</source>
            <translation>Dice</translation>
        </message>
        <message>
            <source>HD95 (mm)</source>
            <translation>HD95 (mm)</translation>
        </message>
        <message>
            <source>NSD 2 mm</source>
            <translation>NSD 2 mm</translation>
        </message>
        <message>
            <source>Decision</source>
            <translation>Entscheidung</translation>
        </message>
        <message>
            <source>By</source>
            <translation>Von</translation>
        </message>
        <message>
            <source>The slices in which most differs from the reference, the worst first.</source>
            <translation>Die Schichten, die am meisten von der Referenz abweichen, die schlechteste zuerst.</translation>
        </message>
        <message>
            <source>The slices in which most may be wrong, as a share of the structure, the worst first.</source>
            <translation>Die Schichten, in denen am meisten falsch sein kann, als Anteil der Struktur, die schlechteste zuerst.</translation>
        </message>
        <message>
            <source>CT slice {n}: {name}, {why}</source>
            <translation>CT-Schicht {n}: {name}, {why}</translation>
        </message>
        <message>
            <source>Slice {axis} = {n}</source>
            <translation>Schicht {axis} = {n}</translation>
        </message>
        <message>
            <source>segmentation</source>
            <translation>Segmentierung</translation>
        </message>
        <message>
            <source>reference</source>
            <translation>Referenz</translation>
        </message>
        <message>
            <source>may be wrong (cm²)</source>
            <translation>möglicherweise falsch (cm²)</translation>
        </message>
        <message>
            <source>{label} of each slice of {name}, from {low:.2f} to {high:.2f}</source>
            <translation>{label} jeder Schicht von {name}, von {low:.2f} bis {high:.2f}</translation>
        </message>
        <message>
            <source>Slice ({axis})</source>
            <translation>Schicht ({axis})</translation>
        </message>
    </context>
</TS>
