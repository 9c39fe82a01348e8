//! Every sentence that people read from the API, in both languages. Strings that the earlier system's
//! clients match (contract, tags `[R0]`–`[R4]`) are marked; the others are ours to reword.

use super::language::Language;

/// One sentence in French and English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    fr: &'static str,
    en: &'static str,
}

impl Sentence {
    /// The sentence in `language`.
    pub(super) fn say(self, language: Language) -> &'static str {
        match language {
            Language::French => self.fr,
            Language::English => self.en,
        }
    }
}

macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident = $fr:literal / $en:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Sentence = Sentence { fr: $fr, en: $en };)*

        #[cfg(test)]
        const ALL: &[Sentence] = &[$($name),*];
    };
}

sentences! {
    INVALID = "La requête n’est pas valide." / "The request is not valid.";
    NO_CREDENTIALS = "Informations d’authentification non fournies." / "Authentication credentials were not provided.";
    TOKEN_INVALID = "Le jeton n’est pas valide ou a expiré." / "The token is invalid or has expired.";
    TOKEN_GIVEN_INVALID = "Le jeton fourni n’est valide pour aucun type de jeton." / "Given token not valid for any token type.";
    BAD_AUTHORIZATION = "L’en-tête Authorization doit contenir « Bearer » et un jeton." / "The Authorization header must hold “Bearer” and one token.";
    ACCOUNT_DISABLED = "Ce compte est désactivé." / "This account is disabled.";
    FORBIDDEN = "Vous n’avez pas la permission d’effectuer cette action." / "You do not have permission to do this.";
    NOT_FOUND = "Introuvable." / "Not found.";
    NO_SUCH_PAGE = "Page introuvable." / "There is no such page.";
    METHOD_NOT_ALLOWED = "Méthode non autorisée ici." / "This method is not allowed here.";
    UNSUPPORTED_TYPE = "Type de contenu non pris en charge : JSON, formulaire ou multipart." / "Unsupported content type: JSON, form or multipart.";
    TOO_LARGE = "La requête est trop volumineuse." / "The request is too large.";
    BODY_UNREADABLE = "Le corps de la requête n’a pas pu être lu." / "The body of the request could not be read.";
    NOT_AN_OBJECT = "Un objet est attendu." / "An object was expected.";
    CONFLICT = "Cette action contredit l’état actuel." / "This clashes with the present state.";
    THROTTLED = "Trop de tentatives. Veuillez patienter." / "Too many attempts. Please wait.";
    TOO_MANY_REQUESTS = "Trop de requêtes. Veuillez réessayer dans un instant." / "Too many requests. Please try again in a moment.";
    UNAVAILABLE = "Le service est momentanément indisponible. Veuillez réessayer." / "The service is unavailable for the moment. Please try again.";
    INTERNAL = "Erreur interne du serveur." / "Internal server error.";
    TOO_SLOW = "La requête a pris trop de temps." / "The request took too long.";

    REQUIRED = "Ce champ est obligatoire." / "This field is required.";
    NOT_NULL = "Ce champ ne peut être nul." / "This field may not be null.";
    NOT_BLANK = "Ce champ ne peut être vide." / "This field may not be blank.";
    NOT_A_TEXT = "Ce champ doit être une chaîne de caractères." / "Not a valid string.";
    NOT_A_BOOL = "Ce champ doit être vrai ou faux." / "Must be a valid boolean.";
    TOO_LONG_200 = "Ce champ est limité à 200 caractères." / "No more than 200 characters are allowed here.";
    TOO_LONG_5000 = "Ce champ est limité à 5000 caractères." / "No more than 5000 characters are allowed here.";
    UNKNOWN_STATUS = "Choisissez « live » ou « ended »." / "Choose “live” or “ended”.";

    NOT_A_FILE = "Un fichier est attendu." / "A file is expected.";
    PICTURE_TOO_LARGE = "La photo de profil est limitée à 5 Mo." / "A profile picture may have 5 MB at most.";
    PICTURE_UNKNOWN_TYPE = "Choisissez une image JPEG, PNG, GIF ou WebP." / "Choose a JPEG, PNG, GIF or WebP image.";
    NOT_AN_ID = "Un identifiant entier est attendu." / "A whole number is expected as id.";
    TOO_LONG = "Ce texte est trop long." / "This text is too long.";
    TOO_LONG_17 = "Ce champ est limité à 17 caractères." / "No more than 17 characters are allowed here.";
    TOO_LONG_150 = "Ce champ est limité à 150 caractères." / "No more than 150 characters are allowed here.";
    TOO_LONG_254 = "Ce champ est limité à 254 caractères." / "No more than 254 characters are allowed here.";
    TOO_LONG_500 = "Ce champ est limité à 500 caractères." / "No more than 500 characters are allowed here.";
    TEXT_FORM = "Ce texte contient un caractère interdit." / "This text holds a character that it may not have.";

    REGISTERED = "Inscription réussie" / "Registered";
    PROFILE_CHANGED = "Profil mis à jour avec succès" / "The profile is up to date";
    PASSWORDS_DIFFER = "Les mots de passe ne correspondent pas." / "The passwords do not match.";
    PASSWORD_SHORT = "Le mot de passe doit comporter au moins 8 caractères." / "The password must have at least 8 characters.";
    USERNAME_TAKEN = "Ce nom d’utilisateur est déjà pris." / "This user name is taken.";
    USERNAME_FORM = "Lettres, chiffres et @ . + - _ uniquement." / "Letters, digits and @ . + - _ only.";
    EMAIL_TAKEN = "Un compte existe déjà avec cette adresse e-mail." / "There is an account with this e-mail address already.";
    EMAIL_FORM = "Saisissez une adresse e-mail valide." / "Enter a valid e-mail address.";
    PHONE_FORM = "Saisissez un numéro de 9 à 15 chiffres, comme +224620000000." / "Enter a number of 9 to 15 digits, like +224620000000.";
    DATE_FORM = "Saisissez une date au format AAAA-MM-JJ." / "Enter a date as YYYY-MM-DD.";
    NO_SUCH_QUARTIER = "Ce quartier n’existe pas." / "There is no such quartier.";
    LOGGED_IN = "Connexion réussie" / "Logged in";
    LOGGED_OUT = "Déconnexion réussie" / "Logged out";
    LOGIN_FIELDS = "L’adresse e-mail et le mot de passe sont requis." / "E-mail address and password are required.";
    LOGIN_EMAIL = "L’adresse e-mail n’est pas valide." / "The e-mail address is not valid.";
    LOGIN_WRONG = "Adresse e-mail ou mot de passe incorrect." / "Wrong e-mail address or password.";

    LIVE_STARTED = "Live démarré avec succès" / "The live has started";
    /// Matched by clients: R4.
    LIVE_STOPPED = "Live arrêté" / "Live stopped";
    /// Matched by clients: R0. The same in both languages would be safest, but only French clients existed.
    LIVE_QUARTIER = "Quartier requis pour le live" / "A quartier is required for a live";
    /// Matched by clients: R0.
    LIVE_START_FAILED = "Erreur lors du démarrage du live. Veuillez réessayer." / "The live could not be started. Please try again.";
    LIVE_ALREADY = "Vous avez déjà un live en cours." / "You already have a live running.";
    LIVE_UNKNOWN = "Live introuvable." / "There is no such live.";
    LIVE_NOT_YOURS = "Ce live n’est pas le vôtre." / "This live is not yours.";
    NO_RECORDING = "Ce live n’a pas laissé d’enregistrement." / "This live left no recording.";
    RECORDING_NOT_YET = "L’enregistrement n’est pas encore terminé." / "The recording is not complete yet.";
    WEBM_NEVER = "Ce serveur ne fait pas de WebM." / "This server makes no WebM.";

    NO_KEY_FRAME = "Aucune image clé depuis {seconds} s : qui arrive maintenant ne voit rien." / "No key frame for {seconds} s: whoever joins now sees nothing.";
    LONG_GOP = "Une image clé toutes les {seconds} s seulement : au-delà de {limit_seconds} s, la lecture démarre tard et par à-coups." / "A key frame only every {seconds} s: beyond {limit_seconds} s, playback starts late and unevenly.";
    ADVICE_KEY_FRAMES = "Dans OBS : Paramètres → Sortie → Streaming → Intervalle d’images clés : 2 s (pas 0, qui veut dire automatique)." / "In OBS: Settings → Output → Streaming → Keyframe Interval: 2 s (not 0, which means auto).";
    FRAMES_MISSING = "Il arrive {measured_fps} images par seconde sur les {claimed_fps} annoncées." / "{measured_fps} pictures a second arrive of the {claimed_fps} that are claimed.";
    ADVICE_FRAMES = "Dans OBS : baissez le débit vidéo ou la résolution, fermez d’autres logiciels, préférez un câble au Wi-Fi. Sur un téléphone, plus de lumière aide." / "In OBS: lower the video bitrate or the resolution, close other programs, prefer a cable to Wi-Fi. On a phone, more light helps.";
    BITRATE_FAR = "Le débit est de {measured_kbps} kbit/s ; votre encodeur annonce {claimed_kbps} kbit/s." / "The bit rate is {measured_kbps} kbit/s; your encoder claims {claimed_kbps} kbit/s.";
    ADVICE_BITRATE = "Dans OBS : Paramètres → Sortie → contrôle du débit CBR, avec un débit que votre connexion tient." / "In OBS: Settings → Output → Rate Control CBR, with a bitrate that your connection holds.";
    CLOCK_DRIFT = "Le son et l’image se décalent : {milliseconds} ms depuis le début." / "Sound and picture drift apart: {milliseconds} ms since the beginning.";
    ADVICE_DRIFT = "Dans OBS : Paramètres → Audio → 48 kHz, comme dans les réglages de votre carte son ; puis relancez le stream." / "In OBS: Settings → Audio → 48 kHz, as in the settings of your sound card; then start the stream again.";
    UNSUPPORTED_CODEC = "Une piste utilise un codec que des navigateurs courants ne lisent pas." / "A track uses a codec that common browsers do not play.";
    ADVICE_CODEC = "Dans OBS : Paramètres → Sortie → encodeur vidéo H.264 (x264 ou matériel), encodeur audio AAC." / "In OBS: Settings → Output → video encoder H.264 (x264 or hardware), audio encoder AAC.";
    ODD_AUDIO = "Le son arrive à {sample_rate} Hz, nombre de canaux : {channels}." / "The sound comes at {sample_rate} Hz, number of channels: {channels}.";
    ADVICE_AUDIO = "Dans OBS : Paramètres → Audio → 48 kHz, stéréo." / "In OBS: Settings → Audio → 48 kHz, stereo.";
    DISK_REFUSES = "Le disque du serveur refuse l’enregistrement : le direct continue, la rediffusion aura des trous." / "The server’s disk refuses the recording: the live goes on, the replay will have gaps.";
    ADVICE_DISK = "Rien à changer dans OBS : prévenez la personne qui gère ce serveur." / "Nothing to change in OBS: tell whoever runs this server.";
    OBJECTS_AWAY = "Le stockage ne répond pas : l’enregistrement attend sur le serveur." / "The object store does not answer: the recording waits on the server.";
    ADVICE_OBJECTS = "Rien à changer dans OBS : l’envoi reprendra de lui-même." / "Nothing to change in OBS: sending will resume by itself.";
    RUNGS_LACK = "Le serveur manque de puissance : certaines qualités réduites ne sont pas proposées à vos spectateurs." / "The server is short of power: some smaller qualities are not offered to your viewers.";
    ADVICE_RUNGS = "Votre direct lui-même n’en souffre pas. Une résolution plus basse dans OBS (720p) laisse plus de place aux autres qualités." / "Your live itself does not suffer. A lower resolution in OBS (720p) leaves more room for the other qualities.";

    NO_SUCH_MEDIA = "Ce média n’existe pas ou n’est plus disponible." / "There is no such media, or no longer.";
    MEDIA_NOT_YET = "Le live n’a pas encore commencé." / "The live has not begun yet.";
    TOO_FAR_AHEAD = "La playlist demandée est trop loin dans l’avenir." / "The playlist asked for is too far ahead.";

    MEDIA_NOT_YOURS = "Ce média n’est pas le vôtre." / "This media is not yours.";
    FILE_MISSING = "Aucun fichier n’a été envoyé." / "No file was submitted.";
    FILE_NOT_A_FILE = "La donnée envoyée n’est pas un fichier." / "The submitted data was not a file.";
    FILE_EMPTY = "Le fichier envoyé est vide." / "The submitted file is empty.";
    FILE_UNKNOWN_TYPE = "Ce n’est ni une image (JPEG, PNG, GIF, WebP) ni une vidéo (MP4, WebM, QuickTime, AVI)." / "This is neither an image (JPEG, PNG, GIF, WebP) nor a video (MP4, WebM, QuickTime, AVI).";
    FILE_IMAGE_TOO_LARGE = "L’image est trop volumineuse." / "The image is too large.";
    FILE_VIDEO_TOO_LARGE = "La vidéo est trop volumineuse." / "The video is too large.";
    FILE_TOO_LARGE = "Le fichier est trop volumineux." / "The file is too large.";
    FILE_TOO_MANY_PIXELS = "L’image a trop de pixels." / "The image has too many pixels.";
    FILE_UNREADABLE = "Le fichier est illisible ou endommagé." / "The file cannot be read or is damaged.";
    FILE_HIDDEN = "Le fichier contient autre chose qu’une image." / "Something other than a picture hides in the file.";
    FILE_TOO_SLOW = "Le fichier est trop long à décoder." / "The file takes too long to decode.";
    FILE_NO_VIDEO = "La vidéo ne contient pas d’image." / "The video has no pictures.";
    FILE_TOO_LONG = "La vidéo est trop longue." / "The video is too long.";
    FILE_VIDEO_NOT_OFFERED = "Cette version n’accepte pas encore les vidéos." / "This version does not take videos yet.";
    MEDIA_NO_ROOM = "Le serveur n’avait plus de place pour cette vidéo. Renvoyez le fichier plus tard." / "The server had no room left for this video. Send the file again later.";
    MEDIA_INTERNAL = "Une erreur du serveur a empêché de préparer cette vidéo ; le fichier n’y est pour rien. Renvoyez-le plus tard." / "An error of the server kept this video from being made; nothing is wrong with the file. Send it again later.";
    RECORDING_RECEIVED = "Enregistrement reçu" / "Recording received";
    FILE_LIVE_OVER = "Le live est inconnu ou terminé depuis trop longtemps." / "The live is unknown or has been over for too long.";
    UPLOAD_OVER_QUOTA = "Votre espace est plein : supprimez des médias." / "Your space is full: delete some media.";
    UPLOAD_TOO_MANY = "Trop d’envois en cours : terminez-en ou annulez-en." / "Too many uploads under way: finish or cancel some.";
    UPLOAD_DISK_FULL = "Le serveur n’a plus assez de place. Veuillez réessayer plus tard." / "The server has no room left. Please try again later.";
    UPLOAD_OFFSET = "L’envoi reprend à un autre endroit." / "The upload stands elsewhere.";
    UPLOAD_BUSY = "Une autre requête envoie ce fichier." / "Another request sends this file.";
    UPLOAD_GONE = "Cet envoi n’existe plus." / "This upload is gone.";
    UPLOAD_LENGTH = "La longueur annoncée est impossible." / "The declared length cannot be.";
    UPLOAD_CHECKSUM = "La somme de contrôle ne correspond pas." / "The checksum does not match.";
    UPLOAD_HEADER = "Un en-tête de tus manque ou n’est pas valide." / "A header of tus is missing or not valid.";
    UPLOAD_VERSION = "Cette version de tus n’est pas prise en charge." / "This version of tus is not supported.";
    UPLOAD_TYPE = "Le type du contenu doit être application/offset+octet-stream." / "The content type must be application/offset+octet-stream.";
    UPLOAD_STILL_JUDGED = "Le fichier est arrivé ; il est encore examiné." / "The file has arrived; it is still being looked at.";
    UPLOAD_METADATA = "Les métadonnées sont trop longues ou illisibles." / "The metadata are too long or not readable.";

    NO_LOCATION = "Localisation non renseignée" / "No location given";
    HEALTHY = "Le service fonctionne" / "The service is up";
    READY = "Le service est prêt" / "The service is ready";
    NOT_READY = "Le service n'est pas prêt" / "The service is not ready";
    WELCOME = "griot, la mémoire de ce qui se dit en direct" / "griot, the memory of what is said live";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_match_stays_as_the_reports_quote_it() {
        assert_eq!(
            LIVE_QUARTIER.say(Language::French),
            "Quartier requis pour le live"
        );
        assert_eq!(LIVE_STOPPED.say(Language::French), "Live arrêté");
        assert_eq!(
            LIVE_START_FAILED.say(Language::French),
            "Erreur lors du démarrage du live. Veuillez réessayer."
        );
    }

    #[test]
    fn every_sentence_exists_twice() {
        for sentence in ALL {
            assert!(!sentence.fr.is_empty() && !sentence.en.is_empty());
            assert_ne!(sentence.fr, sentence.en);
            assert_eq!(
                sentence.fr.matches('{').count(),
                sentence.en.matches('{').count()
            );
        }
    }
}
